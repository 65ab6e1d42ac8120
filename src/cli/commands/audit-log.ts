/** `audit-log`: what happened on the guard server, and whether the record of it is whole. */
import type { Command } from 'commander';
import { verifyAuditLog } from '../../audit/verify.js';
import { writeAll, writeWhole } from '../../files.js';
import type { AuditEvent } from '../../remote/records.js';
import type { Context } from '../context.js';
import { example, withForce, withJson } from '../flags.js';
import { type AskFlags, group, subcommand, table, when } from '../groups.js';
import { rows } from '../output.js';

interface EventFlags extends AskFlags {
  readonly action?: string;
  readonly outcome?: AuditEvent['outcome'];
  readonly account?: string;
  readonly resource?: string;
  readonly since?: string;
}
interface OutFlags extends AskFlags {
  readonly out: string;
  readonly force?: boolean;
}

const seconds = (time: string | undefined) => (time === undefined ? undefined : Math.floor(Date.parse(time) / 1000));
const write = (out: string, overwrite: boolean, pieces: AsyncIterable<Uint8Array>): Promise<void> =>
  writeWhole(
    out,
    async (handle) => {
      for await (const piece of pieces) await writeAll(handle, piece);
    },
    { overwrite },
  );
async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

export function registerAuditLog(program: Command, context: Context): void {
  const log = group(program, 'audit-log', "the guard server's audit log: events, export, checkpoint, verify");
  const events = subcommand<EventFlags>(log, context, 'events', 'what happened, newest first', (guard, _args, flags, options) => {
    const { action, outcome, account, resource, since } = flags;
    const query = { action, outcome, account, resource, since: seconds(since), ...options };
    return table(guard.audit.events(query), ['seq', 'time', 'action', 'outcome', 'resource', 'account', 'address'], (one) => [
      String(one.seq),
      one.time,
      one.action,
      one.outcome,
      one.resource ?? '',
      one.personal?.account ?? '',
      one.personal?.address ?? '',
    ]);
  });
  events
    .option('--action <A>', 'for instance leases.take')
    .option('--outcome <O>', 'success, failure or denied')
    .option('--account <ID>', 'of this account')
    .option('--resource <R>', 'for instance model:defects@3')
    .option('--since <TIME>', 'from this time on, ISO 8601');
  const toFile = (usage: string, description: string, ask: Parameters<typeof subcommand<OutFlags>>[4]) =>
    withForce(subcommand<OutFlags>(log, context, usage, description, ask).requiredOption('--out <FILE>', 'where to'));
  toFile('export', 'all events, as they are stored', async (guard, _args, { out, force }, options) => {
    await write(out, force ?? false, guard.audit.export(options));
    return { value: { out }, text: out };
  });
  toFile(
    'checkpoint',
    'a signed position of the log, to keep outside the server',
    async (guard, _args, { out, force }, options) => {
      const checkpoint = await guard.audit.checkpoint(options);
      const { auditKey } = await guard.server(options);
      await write(out, force ?? false, once(`${JSON.stringify(checkpoint)}\n`));
      // Whoever verifies later needs it, and has no server to ask.
      return {
        value: { out, auditKey },
        text: rows([
          ['checkpoint', out],
          ['audit key', auditKey],
        ]),
      };
    },
  );
  registerVerify(log, context);
  example(
    log,
    'model-guard audit-log checkpoint --out monday.json',
    'model-guard audit-log export --out events.jsonl',
    'model-guard audit-log verify events.jsonl --checkpoint monday.json --key mgs1:…',
  );
}

interface VerifyFlags {
  readonly checkpoint: string;
  readonly key: string;
  readonly json?: boolean;
}

function registerVerify(log: Command, context: Context): void {
  const verify = log
    .command('verify')
    .description('whether an export is what happened, up to a checkpoint that was kept; no server is asked')
    .argument('<FILE>', 'what export wrote')
    .requiredOption('--checkpoint <FILE>', 'what checkpoint wrote, or a client kept')
    .requiredOption('--key <K>', "the server's audit key (mgs1:…)");
  withJson(verify).action(async (file: string, { checkpoint, key, json }: VerifyFlags) => {
    const report = await verifyAuditLog(file, { checkpoint, key, ...context.run() });
    context.print(
      json,
      report,
      `Nothing was changed, removed, inserted or moved up to the checkpoint\n${rows([
        ['log', report.logId],
        ['covered', `events 1 to ${report.covered}`],
        ['not covered', `${report.notCovered} later events`],
        ['checkpoint', when(report.checkpoint.time)],
      ])}`,
    );
  });
}
