/** `devices`, `entitlements`, `leases`, `users`: who may load what, and who does. */
import { randomInt } from 'node:crypto';
import { type Command, Option } from 'commander';
import { ROLES } from '../../contract/index.js';
import { readLine } from '../../files.js';
import type { AccountRole, Device } from '../../remote/records.js';
import { accountIdOf } from '../accounts.js';
import type { Context } from '../context.js';
import { example, numberOf } from '../flags.js';
import { type AskFlags, group, subcommand, table, when } from '../groups.js';
import { rows } from '../output.js';

/** 80 bits, in groups that can be read out. */
const oneTimePassword = (): string => Array.from({ length: 6 }, () => String(randomInt(10_000)).padStart(4, '0')).join('-');

const STATES = ['pending', 'approved', 'revoked'] as const;

export function registerDevices(program: Command, context: Context): void {
  const devices = group(program, 'devices', 'machines that may load models: list, approve, revoke');
  subcommand<AskFlags & { readonly state?: Device['state'] }>(
    devices,
    context,
    'list',
    'own devices; all for those who decide',
    (guard, _args, { state }, options) =>
      table(guard.devices.list({ ...(state && { state }), ...options }), ['device', 'state', 'name', 'fingerprint'], (one) => [
        one.id,
        one.state,
        one.name,
        one.fingerprint,
      ]),
  ).addOption(new Option('--state <STATE>', 'only these').choices(STATES));
  subcommand<AskFlags & { readonly fingerprint: string }>(
    devices,
    context,
    'approve <DEVICE>',
    'let a device take leases, having compared the fingerprint that it printed',
    async (guard, [id = ''], { fingerprint }, options) => {
      const device = await guard.devices.approve(id, fingerprint, options);
      return { value: device, text: `${device.name} is approved` };
    },
  ).requiredOption('--fingerprint <F>', 'as the device printed it (enroll)');
  subcommand(
    devices,
    context,
    'revoke <DEVICE>',
    'end a device and its leases, for good',
    async (guard, [id = ''], _flags, options) => {
      const device = await guard.devices.revoke(id, options);
      return { value: device, text: `${device.name} is revoked` };
    },
  );
  example(devices, "model-guard devices approve 6f1c… --fingerprint '1a2b 3c4d …'");
}

interface TermsFlags extends AskFlags {
  readonly account: string;
  readonly device?: string;
  readonly archive?: boolean;
  readonly seats?: string;
  readonly leaseSeconds?: string;
  readonly offlineSeconds?: string;
}
const optionalNumber = (text: string | undefined) => (text === undefined ? undefined : numberOf(text));

export function registerEntitlements(program: Command, context: Context): void {
  const entitlements = group(program, 'entitlements', 'who may load which model: list, create, delete');
  subcommand(entitlements, context, 'list', 'all of them', (guard, _args, _flags, options) =>
    table(guard.entitlements.list(options), ['entitlement', 'what', 'account', 'device', 'seats', 'lease', 'offline'], (one) => [
      one.id,
      `${one.kind} ${one.name}`,
      one.account,
      one.device ?? 'any',
      String(one.seats),
      `${one.leaseSeconds} s`,
      `${one.offlineSeconds} s`,
    ]),
  );
  const create = subcommand<TermsFlags>(
    entitlements,
    context,
    'create <NAME>',
    'let an account, or one of its devices, load a model or unlock an archive',
    async (guard, [name = ''], flags, options) => {
      const made = await guard.entitlements.create(
        {
          name,
          kind: flags.archive ? 'archive' : 'model',
          account: await accountIdOf(guard, flags.account, options),
          device: flags.device,
          seats: optionalNumber(flags.seats),
          leaseSeconds: optionalNumber(flags.leaseSeconds),
          offlineSeconds: optionalNumber(flags.offlineSeconds),
        },
        options,
      );
      return { value: made, text: `${made.account} may load ${made.name}: ${made.seats} seats, ${made.leaseSeconds} s a lease` };
    },
  );
  create
    .requiredOption('--account <A>', 'whose devices: its id or e-mail address')
    .option('--device <ID>', 'only this device of theirs')
    .option('--archive', 'NAME is an archive, not a model')
    .option('--seats <N>', 'devices at the same time (default: 1)')
    .option('--lease-seconds <N>', 'how long a lease lasts (default: a day)')
    .option('--offline-seconds <N>', 'how long it opens without the server (default: an hour)');
  subcommand(
    entitlements,
    context,
    'delete <ENTITLEMENT>',
    'take it back, and its leases',
    async (guard, [id = ''], _flags, options) => {
      await guard.entitlements.delete(id, options);
      return { value: {}, text: 'It is taken back' };
    },
  );
  example(entitlements, 'model-guard entitlements create defects --account ada@example.com --seats 5');
}

export function registerLeases(program: Command, context: Context): void {
  const leases = group(program, 'leases', 'what was handed out: list, revoke');
  subcommand<AskFlags & { readonly active?: boolean }>(
    leases,
    context,
    'list',
    'all leases',
    (guard, _args, { active }, options) =>
      table(
        guard.leases.list({ ...(active && { active }), ...options }),
        ['lease', 'model', 'device', 'until', 'offline until', 'seat until', ''],
        (one) => [
          one.id,
          `${one.name}@${one.version}`,
          one.device,
          when(one.notAfter),
          when(one.offlineUntil),
          when(one.seatUntil ?? one.notAfter),
          one.revoked ? 'revoked' : '',
        ],
      ),
  ).option('--active', 'only those that hold a seat');
  subcommand(leases, context, 'revoke <LEASE>', 'end a lease and free its seat', async (guard, [id = ''], _flags, options) => {
    await guard.leases.revoke(id, options);
    return { value: {}, text: 'It is revoked; a device that is away may use it until its offline-until' };
  });
  example(leases, 'model-guard leases list --active');
}

export function registerUsers(program: Command, context: Context): void {
  const users = group(program, 'users', 'accounts, by id or e-mail address: list, create, update, reset-password, export, erase');
  subcommand(users, context, 'list', 'all accounts', (guard, _args, _flags, options) =>
    table(guard.users.list(options), ['account', 'role', 'e-mail', 'name', ''], (one) => [
      one.id,
      one.role,
      one.email,
      one.name ?? '',
      one.disabled ? 'disabled' : '',
    ]),
  );
  const create = subcommand<AskFlags & { readonly role: AccountRole; readonly passwordFile: string; readonly name?: string }>(
    users,
    context,
    'create <EMAIL>',
    'new account; hand its password over safely, and have it changed (password)',
    async (guard, [email = ''], { role, passwordFile, name }, options) => {
      const password = await readLine(passwordFile);
      const account = await guard.users.create({ email, password, role, ...(name !== undefined && { name }) }, options);
      return { value: account, text: account.id };
    },
  );
  create
    .addOption(new Option('--role <ROLE>', 'what it may do').choices(ROLES).makeOptionMandatory())
    .requiredOption('--password-file <FILE>', 'its first line is the first password')
    .option('--name <NAME>', 'of the person');
  const update = subcommand<AskFlags & { readonly role?: AccountRole; readonly disable?: boolean; readonly enable?: boolean }>(
    users,
    context,
    'update <ACCOUNT>',
    'change the role; disable or enable',
    async (guard, [given = ''], { role, disable, enable }, options) => {
      const disabled = disable ? true : enable ? false : undefined;
      const account = await guard.users.update(await accountIdOf(guard, given, options), { role, disabled }, options);
      return { value: account, text: `${account.email}: ${account.role}${account.disabled ? ', disabled' : ''}` };
    },
  );
  update
    .addOption(new Option('--role <ROLE>', 'what it may do').choices(ROLES))
    .option('--disable', 'no log-in any more')
    .option('--enable', 'log-in again');
  const reset = subcommand<AskFlags & { readonly passwordFile?: string }>(
    users,
    context,
    'reset-password <ACCOUNT>',
    'give a one-time password, shown once, that must be changed before anything else; ends the log-ins and the lock-out of the account',
    async (guard, [given = ''], { passwordFile }, options) => {
      const password = passwordFile === undefined ? oneTimePassword() : await readLine(passwordFile);
      const account = await guard.users.resetPassword(await accountIdOf(guard, given, options), password, options);
      if (passwordFile !== undefined)
        return { value: account, text: `${account.email} must change the password of the file first` };
      context.note(`Hand it over safely; ${account.email} must change it first (model-guard password). It is shown only now:`);
      return { value: { ...account, password }, text: password };
    },
  );
  reset.option('--password-file <FILE>', 'its first line is the one-time password (default: a random one)');
  subcommand(
    users,
    context,
    'export <ACCOUNT>',
    'everything that is stored about somebody',
    async (guard, [given = ''], _flags, options) => {
      const value = await guard.users.export(await accountIdOf(guard, given, options), options);
      return { value, text: JSON.stringify(value, undefined, 2) };
    },
  );
  subcommand(
    users,
    context,
    'erase <ACCOUNT>',
    'erase an account and the personal data about it; the audit log still verifies',
    async (guard, [given = ''], _flags, options) => {
      await guard.users.erase(await accountIdOf(guard, given, options), options);
      return { value: {}, text: rows([['erased', given]]) };
    },
  );
  example(users, 'model-guard users create ada@example.com --role operator --password-file first.txt');
}
