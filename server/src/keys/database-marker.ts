/**
 * Stores beside the keys which database they belong to, so that an empty or another database is not taken for a first start. An
 * unmounted volume or a forgotten URL would otherwise make a new server, with a new administrator, under keys that devices trust.
 */
import { join } from 'node:path';
import { isModelGuardError, ModelGuardError, readAtMost, shapes, writeWhole } from '@org/model-guard/server-kit';
import { z } from 'zod';
import type { Config } from '../base/config.js';
import { makeStateFolder } from '../base/state-folder.js';
import type { Database } from '../database/connection.js';
import { databaseFile } from '../database/sqlite/file.js';
import { listNames } from './files.js';

/** The places of keys and database, and whether the operator has declared the database new to the keys. */
export type KeyedPlaces = Pick<Config, 'keysFolder' | 'secretsFolder' | 'dataFolder' | 'databaseUrl' | 'newDatabase'>;

const MAX_BYTES = 4096;
const shape = z.union([
  // A first start is under way: no client has seen this server yet.
  z.strictObject({ modelGuardDatabase: z.literal(1), state: z.literal('starting') }),
  z.strictObject({
    modelGuardDatabase: z.literal(1),
    state: z.literal('complete'),
    server: shapes.id,
    kind: z.enum(['sqlite', 'postgresql']),
  }),
]);
type Marker = z.output<typeof shape>;
type Complete = Extract<Marker, { state: 'complete' }>;

/** The marker file of a keys folder. */
export const markerFile = (keysFolder: string): string => join(keysFolder, 'database.json');

const KEY = /^model_guard_(signing|encryption|audit|field)_key$/;
const FLAG = '--new-database (MODEL_GUARD_NEW_DATABASE=true)';

/**
 * Compares keys and database before either is made. Writes the marker of a first start before keys are made, so that a first start
 * that was killed can be continued.
 * @returns the function to call with the server's id once the first start is complete
 * @throws NOT_FOUND for keys whose database is empty; KEY_INVALID for keys of another database
 */
export async function checkDatabaseMarker(places: KeyedPlaces, db: Database): Promise<(server: string) => Promise<void>> {
  const { keysFolder, newDatabase } = places;
  // Read in the reverse of the order in which a first start writes: keys, marker, database. Otherwise a first start in another process
  // looks like keys without a database.
  const keysThere = await anyKey(places);
  const marker = await readMarker(keysFolder);
  const known = await serverOf(db);
  if (!newDatabase) {
    if (marker?.state === 'complete' && known !== marker.server)
      throw known === undefined ? lostDatabase(places, marker) : otherDatabase(places, marker, known);
    if (marker === undefined && known === undefined && keysThere) throw keysWithoutDatabase(places);
  }
  const first = known === undefined && marker?.state !== 'starting';
  if (first) await write(keysFolder, { modelGuardDatabase: 1, state: 'starting' });
  return async (server) => {
    const complete: Complete = { modelGuardDatabase: 1, state: 'complete', server, kind: kindOf(places) };
    const same = !first && marker?.state === 'complete' && marker.server === server && marker.kind === complete.kind;
    if (!same) await write(keysFolder, complete);
  };
}

/** The id of the database's server; empty where a first start was killed before it wrote the id; undefined for an empty database. */
async function serverOf(db: Database): Promise<string | undefined> {
  const rows = await db.selectFrom('meta').selectAll().where('key', 'in', ['server_id', 'keys']).execute();
  // A first start that was killed between the two rows has begun.
  return rows.find(({ key }) => key === 'server_id')?.value ?? (rows.length > 0 ? '' : undefined);
}

async function anyKey({ keysFolder, secretsFolder }: KeyedPlaces): Promise<boolean> {
  const [mounted, made] = await Promise.all([listNames(secretsFolder), listNames(keysFolder)]);
  return mounted.some((name) => KEY.test(name)) || made.some((name) => name.endsWith('.key'));
}

async function readMarker(keysFolder: string): Promise<Marker | undefined> {
  const file = markerFile(keysFolder);
  let text: string;
  try {
    text = Buffer.from(await readAtMost(file, MAX_BYTES)).toString('utf8');
  } catch (cause) {
    if (isModelGuardError(cause) && cause.code === 'NOT_FOUND') return undefined;
    throw new ModelGuardError('IO_FAILED', `Could not read ${file}`, { cause });
  }
  try {
    return shape.parse(JSON.parse(text));
  } catch (cause) {
    throw new ModelGuardError('KEY_INVALID', `${file}, which names the database of these keys, is damaged`, {
      cause,
      advice: 'Restore it. Or make sure that the database is the right one, and remove the file: the next start writes it anew.',
    });
  }
}

async function write(keysFolder: string, marker: Marker): Promise<void> {
  await makeStateFolder(keysFolder, '--keys-folder');
  const text = `${JSON.stringify(marker)}\n`;
  await writeWhole(markerFile(keysFolder), (handle) => handle.writeFile(text), { overwrite: true });
}

const kindOf = ({ databaseUrl }: KeyedPlaces): Complete['kind'] => (databaseUrl === undefined ? 'sqlite' : 'postgresql');

/** Without the URL, which holds a password. */
const placeOf = (places: KeyedPlaces): string =>
  places.databaseUrl === undefined ? databaseFile(places.dataFolder) : 'the PostgreSQL database of the URL';

function lostDatabase(places: KeyedPlaces, { server, kind }: Complete): ModelGuardError {
  const belongs = `The keys in ${places.keysFolder} belong to the database of server ${server}`;
  const advice = `Bring that database back. Only if a new server under the old keys is meant, with new accounts and without its models: ${FLAG}.`;
  if (kind === 'postgresql' && kindOf(places) === 'sqlite')
    return new ModelGuardError('NOT_FOUND', `${belongs}, in PostgreSQL, and no URL of one was given`, {
      advice: `Give its URL (the secret model_guard_database_url, or DATABASE_URL). ${advice}`,
    });
  return new ModelGuardError('NOT_FOUND', `${belongs}, and ${placeOf(places)} is empty`, {
    advice: `Check that the right volume is mounted, the right folder (--data) or URL given. ${advice}`,
  });
}

const otherDatabase = (places: KeyedPlaces, { server }: Complete, known: string): ModelGuardError =>
  new ModelGuardError(
    'KEY_INVALID',
    `The keys in ${places.keysFolder} belong to the database of server ${server}, and ${placeOf(places)} is ${known === '' ? 'one that a first start began' : `that of server ${known}`}`,
    { advice: `Give the folder (--data) or the URL of its own database. Only if this one is meant from now on: ${FLAG}.` },
  );

const keysWithoutDatabase = (places: KeyedPlaces): ModelGuardError =>
  new ModelGuardError(
    'NOT_FOUND',
    `There are keys in ${places.secretsFolder} or ${places.keysFolder}, and ${placeOf(places)} is empty`,
    {
      advice: `If these keys had a database, bring it back: mount its volume, give its folder (--data) or its URL (DATABASE_URL). For the first start with keys that were made for it: ${FLAG}, once.`,
    },
  );
