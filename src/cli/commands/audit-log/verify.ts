import type { Command } from 'commander';
import { verifyAuditLog } from '../../../index.js';
import type { Context } from '../../context.js';
import { withJson } from '../../flags/common.js';
import { rows, timeText } from '../../text.js';

interface Flags {
  readonly checkpoint: string;
  readonly key: string;
  readonly json?: boolean;
}

export function registerVerify(log: Command, context: Context): void {
  const command = log
    .command('verify')
    .description('check that an export is unchanged up to a checkpoint that was kept; no server is asked')
    .argument('<FILE>', 'the file that export wrote')
    .requiredOption('--checkpoint <FILE>', 'the file that checkpoint wrote, or that a client kept')
    .requiredOption('--key <K>', "the server's audit key (mgs1:…)");
  withJson(command).action(async (file: string, { checkpoint, key, json }: Flags) => {
    const report = await verifyAuditLog(file, { checkpoint, key, ...context.run() });
    const facts = rows([
      ['log', report.logId],
      ['covered', `events 1 to ${report.covered}`],
      ['not covered', `${report.notCovered} later events`],
      ['checkpoint', timeText(report.checkpoint.time)],
    ]);
    context.print(json, report, `Nothing was changed, removed, inserted or moved up to the checkpoint\n${facts}`);
  });
}
