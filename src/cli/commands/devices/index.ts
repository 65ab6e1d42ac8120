import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerApprove } from './approve.js';
import { registerList } from './list.js';
import { registerRevoke } from './revoke.js';

export function registerDevices(program: Command, context: Context): void {
  const devices = addGroup(program, 'devices', 'machines that may load models: list, approve, revoke');
  registerList(devices, context);
  registerApprove(devices, context);
  registerRevoke(devices, context);
  example(devices, "model-guard devices approve 6f1c… --fingerprint '1a2b 3c4d …'");
}
