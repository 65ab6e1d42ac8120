/** `models`, `archives`, `server-keys`: what the guard server keeps, and with which keys. */
import { type Command, Option } from 'commander';
import { MasterKey } from '../../keys/secret.js';
import { LegacyKey } from '../../legacy/key.js';
import type { ModelVersion } from '../../remote/records.js';
import type { Context } from '../context.js';
import { collect, example, numberOf, usage } from '../flags.js';
import { type AskFlags, group, subcommand, table, when } from '../groups.js';
import { formatBytes, rows } from '../output.js';
import { factsOf, type ReviewFlags, reviewedPayload, withPayload } from '../review.js';

const STATES = ['pending', 'released', 'rejected', 'revoked'] as const;
const labelOf = ({ name, version }: ModelVersion): string => `${name}@${version}`;

export function registerModels(program: Command, context: Context): void {
  const models = group(program, 'models', 'versions on the guard server: list, show, reject, revoke, publishers');
  subcommand<AskFlags & { readonly state?: ModelVersion['state']; readonly name?: string }>(
    models,
    context,
    'list',
    'versions',
    (guard, _args, { state, name }, options) =>
      table(
        guard.models.list({ ...(state && { state }), ...(name !== undefined && { name }), ...options }),
        ['version', 'state', 'big part', 'published'],
        (one) => [labelOf(one), one.state, formatBytes(one.bigBytes), when(one.created)],
      ),
  )
    .addOption(new Option('--state <STATE>', 'only these').choices(STATES))
    .option('--name <N>', 'only of this model');
  subcommand(models, context, 'show <N@V>', 'one version', async (guard, [ref = ''], _flags, options) => {
    const value = await guard.models.get(ref, options);
    return { value, text: factsOf(value) };
  });
  const reject = subcommand<AskFlags & ReviewFlags>(
    models,
    context,
    'reject <N@V>',
    'reject a version that waits',
    async (guard, [ref = ''], flags, options) => {
      const payloadId = await reviewedPayload(guard, ref, flags, options);
      const value = await guard.reject(ref, { payloadId, ...options });
      return { value, text: `${labelOf(value)} is rejected` };
    },
  );
  withPayload(reject);
  subcommand<AskFlags & ReviewFlags>(
    models,
    context,
    'revoke <N@V>',
    'revoke a version and its leases',
    async (guard, [ref = ''], { payload }, options) => {
      const value = await guard.revoke(ref, { ...(payload !== undefined && { payloadId: payload }), ...options });
      return { value, text: `${labelOf(value)} is revoked` };
    },
  ).option('--payload <ID>', 'only if this payload is there (default: whatever stands there now)');
  subcommand<AskFlags & { readonly set?: readonly string[] }>(
    models,
    context,
    'publishers <NAME>',
    'who may sign versions of a model',
    async (guard, [name = ''], { set }, options) => {
      const value = set ? await guard.publishers.set(name, set, options) : await guard.publishers.get(name, options);
      return { value, text: value.join('\n') || 'None: nothing can be published under this name.' };
    },
  ).option('--set <K>', 'mgs1:…, in the place of those that are registered; repeat for more', collect);
  example(models, 'model-guard models publishers defects --set mgs1:…', 'model-guard models list --state pending');
}

export function registerArchives(program: Command, context: Context): void {
  const archives = group(program, 'archives', 'encrypted archives that lie at the clients: list, register, delete');
  subcommand(archives, context, 'list', 'all of them', (guard, _args, _flags, options) =>
    table(guard.archives.list(options), ['archive', 'format', 'size', 'SHA-256'], (one) => [
      one.name,
      one.format,
      formatBytes(one.size),
      one.sha256,
    ]),
  );
  subcommand<AskFlags & { readonly name?: string; readonly masterKey?: string; readonly keyStringFile?: string }>(
    archives,
    context,
    'register <ARCHIVE>',
    'register its digest, and its key sealed to the server; the file goes nowhere',
    async (guard, [path = ''], { name, masterKey, keyStringFile }, options) => {
      if ((masterKey === undefined) === (keyStringFile === undefined))
        throw usage('Give exactly one of --master-key, --key-string-file');
      const key =
        masterKey === undefined
          ? await LegacyKey.fromKeyString({ file: keyStringFile as string })
          : await MasterKey.fromFile(masterKey);
      const value = await guard.archives.register(path, {
        key,
        ...(name !== undefined && { name }),
        ...options,
        ...context.run(),
      });
      return { value, text: `${value.name} is registered (${value.format}, ${formatBytes(value.size)})` };
    },
  )
    .option('--name <N>', 'what it is called (default: the file name)')
    .option('--master-key <FILE>', 'the master key that a container was encrypted to')
    .option('--key-string-file <FILE>', 'the key string of a legacy archive');
  subcommand(archives, context, 'delete <NAME>', 'forget an archive and its key', async (guard, [name = ''], _flags, options) => {
    await guard.archives.delete(name, options);
    return { value: {}, text: `${name} is forgotten: nobody unlocks it any more` };
  });
  example(archives, 'model-guard archives register images.tar.mguard --name images --master-key images.key');
}

export function registerServerKeys(program: Command, context: Context): void {
  const keys = group(program, 'server-keys', "the guard server's keys: list, rotate, rotate-signing");
  subcommand(keys, context, 'list', 'encryption keys and rotations', async (guard, _args, _flags, options) => {
    const value = await guard.keys.list(options);
    const lines = value.keys.map(({ key, state, until }) => [state, `${key}${until ? `  until ${when(until)}` : ''}`] as const);
    const turns = value.rotations.map(
      ({ done, total, state, started }) => [`rotation ${state}`, `${done} of ${total}, ${when(started)}`] as const,
    );
    return { value, text: rows([...lines, ...turns]) };
  });
  subcommand<AskFlags & { readonly acceptSeconds?: string }>(
    keys,
    context,
    'rotate',
    'wrap every small part to a new key, while the server goes on',
    async (guard, _args, { acceptSeconds }, options) => {
      const value = await guard.keys.rotate({
        ...(acceptSeconds !== undefined && { acceptSeconds: numberOf(acceptSeconds) }),
        ...options,
      });
      return { value, text: `${value.total} small parts go to ${value.to}\n${value.notice}` };
    },
  ).option('--accept-seconds <N>', 'publications to the old key are accepted for so long (default: a day)');
  subcommand(
    keys,
    context,
    'rotate-signing',
    'replace the key that clients pin by one that the old key signs',
    async (guard, _args, _flags, options) => {
      const value = await guard.keys.rotateSigning(options);
      const said = rows([
        ['key', value.key],
        ['fingerprint', value.fingerprint],
        ['before', value.previous],
      ]);
      return { value, text: `${said}\nClients that pinned an earlier key follow it; new ones pin this one.` };
    },
  );
  example(keys, 'model-guard server-keys rotate', 'model-guard server-keys rotate-signing');
}
