import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerAccept } from './accept.js';
import { registerCheckpoint } from './checkpoint.js';
import { registerEvents } from './events.js';
import { registerExport } from './export.js';
import { registerRestored } from './restored.js';
import { registerVerify } from './verify.js';

export function registerAuditLog(program: Command, context: Context): void {
  const log = addGroup(
    program,
    'audit-log',
    "the guard server's audit log: events, export, checkpoint, verify, restored, accept",
  );
  registerEvents(log, context);
  registerExport(log, context);
  registerCheckpoint(log, context);
  registerRestored(log, context);
  registerAccept(log, context);
  registerVerify(log, context);
  example(
    log,
    'model-guard audit-log checkpoint --out monday.json',
    'model-guard audit-log export --out events.jsonl',
    'model-guard audit-log verify events.jsonl --checkpoint monday.json --key mgs1:…',
    'model-guard audit-log restored --event 1042 --head 9f3c… --out restored.json     # the administrator, after a restore',
    'model-guard audit-log accept restored.json --fingerprint "1a2b …"                # on each device that saw more',
  );
}
