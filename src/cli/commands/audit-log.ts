/** `audit-log`: what happened on the guard server, and whether the record of it is whole. */
import { type Command, Option } from 'commander';
import { verifyAuditLog } from '../../audit/verify.js';
import { AUDIT_ACTION_FILTERS, type AuditActionFilter, shapes } from '../../contract/index.js';
import { ModelGuardError } from '../../errors.js';
import { readBounded, refuseExisting, writeAll, writeWhole } from '../../files.js';
import type { AuditEvent, RestoredLog } from '../../remote/records.js';
import { accountIdOf } from '../accounts.js';
import type { Context } from '../context.js';
import { example, numberOf, usage, withForce, withJson } from '../flags.js';
import { type AskFlags, group, subcommand, table, when } from '../groups.js';
import { rows } from '../output.js';
import { deviceServerOf, type ServerFlags, withDevice, withServer } from '../server-flags.js';

interface EventFlags extends AskFlags {
  readonly action?: AuditActionFilter;
  readonly outcome?: AuditEvent['outcome'];
  readonly account?: string;
  readonly resource?: string;
  readonly since?: string;
}
interface OutFlags extends AskFlags {
  readonly out: string;
  readonly force?: boolean;
}

const OUTCOMES = shapes.outcome.options;
/** INVALID_ARGUMENT for another one, with those that there are. */
function actionOf(text: string): AuditActionFilter {
  const action = AUDIT_ACTION_FILTERS.find((one) => one === text);
  if (action === undefined) throw usage(`--action ${text} is none of ${AUDIT_ACTION_FILTERS.join(', ')}`);
  return action;
}
function secondsOf(time: string | undefined): number | undefined {
  if (time === undefined) return undefined;
  const seconds = Math.floor(Date.parse(time) / 1000);
  if (Number.isSafeInteger(seconds) && seconds >= 0) return seconds;
  throw usage(`--since ${time} is no time since 1970, such as 2026-01-31T08:00:00Z`);
}
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
  const log = group(program, 'audit-log', "the guard server's audit log: events, export, checkpoint, verify, restored, accept");
  const events = subcommand<EventFlags>(
    log,
    context,
    'events',
    'what happened, newest first',
    async (guard, _args, flags, options) => {
      const { action, outcome, resource, since } = flags;
      const account = flags.account === undefined ? undefined : await accountIdOf(guard, flags.account, options);
      const query = { action, outcome, account, resource, since: secondsOf(since), ...options };
      return table(guard.audit.events(query), ['seq', 'time', 'action', 'outcome', 'resource', 'account', 'address'], (one) => [
        String(one.seq),
        one.time,
        one.action,
        one.outcome,
        one.resource ?? '',
        one.personal?.account ?? '',
        one.personal?.address ?? '',
      ]);
    },
  );
  events
    .option('--action <A>', 'one action, such as leases.take, or all of a concern, such as leases', actionOf)
    .addOption(new Option('--outcome <O>', 'only these').choices(OUTCOMES))
    .option('--account <A>', 'of this account: its id or e-mail address')
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
  registerRestored(log, context);
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

interface RestoredFlags extends OutFlags {
  readonly event: string;
  readonly head: string;
}
interface AcceptFlags extends ServerFlags {
  readonly fingerprint: string;
}
const MAX_STATEMENT = 1024 * 1024;

/** After the server was restored from a backup: the administrator's word, and each device's yes. */
function registerRestored(log: Command, context: Context): void {
  const restored = subcommand<RestoredFlags>(
    log,
    context,
    'restored',
    'after a restore: have the server sign that its log goes on from what it holds now',
    async (guard, _args, { event, head, out, force }, options) => {
      if (!force) await refuseExisting(out);
      const { statement, fingerprint } = await guard.audit.stateRestored({ seq: numberOf(event), head }, options);
      await write(out, force ?? false, once(`${JSON.stringify(statement)}\n`));
      return {
        value: { out, fingerprint },
        text: `${rows([
          ['statement', out],
          ['fingerprint', fingerprint],
        ])}\nGive the fingerprint to those who keep devices over another way than the network.`,
      };
    },
  );
  withForce(restored)
    .requiredOption('--event <N>', 'the newest event that was lost, as a device reports it')
    .requiredOption('--head <HEX>', 'the head of the lost log after that event, 96 hex digits')
    .requiredOption('--out <FILE>', 'where to');
  const accept = log
    .command('accept')
    .description('on a device: accept that the server was restored, by the fingerprint that its administrator told you')
    .argument('<FILE>', 'what restored wrote')
    .requiredOption('--fingerprint <F>', 'ten groups of four hex digits, not from the network');
  withDevice(withServer(accept)).action(async (file: string, flags: AcceptFlags) => {
    const statement = parseStatement(file, await readBounded(file, MAX_STATEMENT));
    const guard = await deviceServerOf(flags);
    await guard.audit.acceptRestored(statement, flags.fingerprint, { signal: context.signal });
    context.print(false, {}, 'This device goes on with the restored log.');
  });
}

function parseStatement(file: string, bytes: Uint8Array): RestoredLog['statement'] {
  try {
    return shapes.statement.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw new ModelGuardError('INVALID_ARGUMENT', `${file} is not a statement of a restored log`, {
      cause,
      advice: 'Give the file that `model-guard audit-log restored` wrote.',
    });
  }
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
