import { type Command, Option } from 'commander';
import { AUDIT_ACTION_FILTERS, type AuditActionFilter, shapes } from '../../../contract/index.js';
import type { AuditEvent } from '../../../index.js';
import { accountIdOf } from '../../account-id.js';
import type { Context } from '../../context.js';
import { usage } from '../../flags/common.js';
import { addServerCommand, type CommandFlags, table } from '../../server-command.js';

interface Flags extends CommandFlags {
  readonly action?: AuditActionFilter;
  readonly outcome?: AuditEvent['outcome'];
  readonly account?: string;
  readonly resource?: string;
  readonly since?: string;
}

const HEAD = ['seq', 'time', 'action', 'outcome', 'resource', 'account', 'address'];

export function registerEvents(log: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    log,
    context,
    'events',
    'list events, newest first',
    async (guard, _args, flags, options) => {
      const { action, outcome, resource, since } = flags;
      const account = flags.account === undefined ? undefined : await accountIdOf(guard, flags.account, options);
      const query = { action, outcome, account, resource, since: secondsOf(since), ...options };
      return table(guard.audit.events(query), HEAD, (event) => [
        String(event.seq),
        event.time,
        event.action,
        event.outcome,
        event.resource ?? '',
        event.personal?.account ?? '',
        event.personal?.address ?? '',
      ]);
    },
  );
  command
    .option('--action <A>', 'one action, such as leases.take, or all of a concern, such as leases', actionOf)
    .addOption(new Option('--outcome <O>', 'only these').choices(shapes.outcome.options))
    .option('--account <A>', 'of this account: its id or e-mail address')
    .option('--resource <R>', 'for instance model:defects@3')
    .option('--since <TIME>', 'from this time on, ISO 8601');
}

/** INVALID_ARGUMENT for an unknown action; the message names the known ones. */
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
