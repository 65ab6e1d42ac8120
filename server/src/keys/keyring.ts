/**
 * Opens the server's keys from secrets, else from files of the data folder, and makes them on the first start. Private keys never
 * enter JavaScript.
 */
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DeviceKey,
  encryptionKeyOf,
  FieldCipher,
  isModelGuardError,
  MasterKey,
  ModelGuardError,
  SigningKey,
} from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { MissingKeyError } from '../base/missing-key.js';
import { makeStateFolder } from '../base/state-folder.js';
import type { Keyring, Signer } from '../context.js';
import type { Connection, Database } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import {
  encryptionKeyFile,
  type KeyClass,
  type KeyPlaces,
  keyFile,
  readEncryptionKeys,
  readKey,
  removeLeftovers,
  signingKeyFile,
} from './files.js';
import { bindKeys, type DatabaseIds, type Identity, identify, keyNamesOf, signingKeyOf } from './key-binding.js';
import { newestSuccessor, readSuccession } from './succession.js';

type Saved = { save(path: string): Promise<void> };

/** The keyring of a server. */
export class ServerKeyring implements Keyring {
  readonly #places: KeyPlaces;
  readonly #keys = new Map<string, DeviceKey>();
  #signer: Signer;
  readonly #identity: Identity;
  #reloading: Promise<unknown> = Promise.resolve();

  private constructor(
    places: KeyPlaces,
    readonly ids: DatabaseIds,
    signing: SigningKey,
    readonly audit: SigningKey,
    readonly fields: FieldCipher,
  ) {
    this.#places = places;
    this.#signer = { key: signing, audit, succession: [] };
    this.#identity = { ...ids, ...keyNamesOf({ signing, audit, fields }) };
  }

  /**
   * Opens the keys, and makes those that a new database needs.
   * @throws KEY_INVALID where the keys are not those that the database was made with; NOT_FOUND where one is missing
   */
  static async open(places: KeyPlaces, db: Database, now: () => number): Promise<ServerKeyring> {
    await makeStateFolder(places.keysFolder, '--keys-folder');
    await removeLeftovers(places.keysFolder);
    const fresh = (await db.selectFrom('meta').select('key').where('key', '=', 'keys').executeTakeFirst()) === undefined;
    const openNamed = <Key extends Saved>(kind: KeyClass<Key>, name: string) => openOrMake(kind, places, name, fresh);
    const audit = await openNamed<SigningKey>(SigningKey, 'audit');
    const fields = new FieldCipher(await openNamed<MasterKey>(MasterKey, 'field'));
    for (;;) {
      const newest = await newestSuccessor(db);
      const signing = (await openSuccessor(places, newest)) ?? (await openNamed<SigningKey>(SigningKey, 'signing'));
      try {
        await bindKeys(db, { signing, audit, fields });
      } catch (error) {
        // Another process has replaced the signing key just now.
        if ((await newestSuccessor(db)) !== newest) continue;
        throw error;
      }
      const keyring = new ServerKeyring(places, await identify(db), signing, audit, fields);
      await keyring.#openEncryptionKeys(db, now);
      return keyring;
    }
  }

  get signing(): SigningKey {
    return this.#signer.key;
  }

  async newest(db: Connection): Promise<Signer> {
    const bound = await signingKeyOf(db, this.#identity);
    if (bound !== this.signing.publicKey.toString()) await this.#serialize(() => this.#reloadSigning(db));
    return this.#signer;
  }

  find(key: string): DeviceKey | undefined {
    return this.#keys.get(key);
  }

  all(): readonly DeviceKey[] {
    return [...this.#keys.values()];
  }

  async make(): Promise<DeviceKey> {
    const key = DeviceKey.generate();
    await key.save(encryptionKeyFile(this.#places.keysFolder, encryptionKeyOf(key)));
    return key;
  }

  async makeSigning(): Promise<SigningKey> {
    const key = SigningKey.generate();
    await key.save(signingKeyFile(this.#places.keysFolder, key.publicKey.toString()));
    return key;
  }

  async promote(trx: Transaction<Schema>, key: DeviceKey, acceptUntil: number, now: number): Promise<void> {
    const retiring = { state: 'retiring', until: acceptUntil } as const;
    await trx.updateTable('encryption_keys').set(retiring).where('state', '=', 'current').execute();
    const row = { key: encryptionKeyOf(key), state: 'current', until: null, created: now } as const;
    await trx.insertInto('encryption_keys').values(row).execute();
  }

  async remove(trx: Transaction<Schema>, key: string): Promise<boolean> {
    const removed = await trx
      .updateTable('encryption_keys')
      .set({ state: 'removed' })
      .where('key', '=', key)
      .where('state', '=', 'retiring')
      .returning('key')
      .execute();
    return removed.length > 0;
  }

  async discard(key: string): Promise<void> {
    this.#keys.delete(key);
    await rm(keyFile(this.#places.keysFolder, key), { force: true });
  }

  reload(db: Connection): Promise<void> {
    return this.#serialize(async () => {
      await this.#reloadSigning(db);
      await this.#reloadEncryption(db);
    });
  }

  /** Runs reloads one after the other, so that the newest state wins. */
  async #serialize(task: () => Promise<void>): Promise<void> {
    const reloading = this.#reloading.then(task);
    this.#reloading = reloading.catch(() => undefined);
    await reloading;
  }

  async #reloadSigning(db: Connection): Promise<void> {
    // Read the bound key before the chain. If the chain is empty at the second read, it was empty at the first, so the bound key is the
    // first key.
    const bound = await signingKeyOf(db, this.#identity);
    const { statements: succession, newest = bound } = await readSuccession(db);
    const key = newest === this.signing.publicKey.toString() ? this.signing : await findSigningKey(this.#places, newest);
    this.#signer = { key, audit: this.audit, succession };
  }

  async #reloadEncryption(db: Connection): Promise<void> {
    const rows = await db.selectFrom('encryption_keys').select('key').where('state', '!=', 'removed').execute();
    const unknown = rows.filter(({ key }) => !this.#keys.has(key));
    if (unknown.length > 0) {
      const found = new Map((await readEncryptionKeys(this.#places)).map((candidate) => [encryptionKeyOf(candidate), candidate]));
      for (const [key, opened] of found) if (unknown.some((row) => row.key === key)) this.#keys.set(key, opened);
      // Another process may have removed it just now.
      for (const { key } of unknown) if (!found.has(key) && (await isKept(db, key))) throw this.missing(key);
    }
    for (const key of this.#keys.keys()) if (!rows.some((row) => row.key === key)) this.#keys.delete(key);
  }

  async #openEncryptionKeys(db: Database, now: () => number): Promise<void> {
    const anyKey = (connection: Connection) => connection.selectFrom('encryption_keys').select('key').executeTakeFirst();
    if (!(await anyKey(db)))
      // Processes that start together make one key: the second finds the row.
      await db.transaction().execute(async (trx) => {
        if (await anyKey(trx)) return;
        // A start that was killed after writing the file left an unused key: take that one.
        const key = (await readEncryptionKeys(this.#places))[0] ?? (await this.make());
        const row = { key: encryptionKeyOf(key), state: 'current', until: null, created: now() } as const;
        await trx.insertInto('encryption_keys').values(row).execute();
      });
    await this.reload(db);
    // A removal was killed between row and file.
    const removed = await db.selectFrom('encryption_keys').select('key').where('state', '=', 'removed').execute();
    for (const { key } of removed) await rm(encryptionKeyFile(this.#places.keysFolder, key), { force: true });
  }

  missing(key: string): MissingKeyError {
    return new MissingKeyError('encryption', key, [this.#places.keysFolder, this.#places.secretsFolder]);
  }
}

const isKept = async (db: Connection, key: string): Promise<boolean> =>
  (await db.selectFrom('encryption_keys').select('key').where('key', '=', key).where('state', '!=', 'removed').execute()).length >
  0;

/** Opens the signing key of that name: in its own file as a successor, else the first key's file. */
async function findSigningKey(places: KeyPlaces, name: string): Promise<SigningKey> {
  const { keysFolder, secretsFolder } = places;
  const files = [signingKeyFile(keysFolder, name), secretFile(secretsFolder, 'signing'), ownFile(keysFolder, 'signing')];
  try {
    for (const file of files) {
      const key = (await exists(file)) ? await readKey<SigningKey>(SigningKey, file, places) : undefined;
      if (key?.publicKey.toString() === name) return key;
    }
  } catch (cause) {
    throw new MissingKeyError('signing', name, files, cause);
  }
  // Never another key, which the database does not name.
  throw new MissingKeyError('signing', name, files);
}

const secretFile = (folder: string, name: string): string => join(folder, `model_guard_${name}_key`);
const ownFile = (folder: string, name: string): string => join(folder, `${name}.key`);

/** Opens the newest successor. Undefined where there is none, or where its key lies in the file of the first key. */
async function openSuccessor(places: KeyPlaces, newest: string | undefined): Promise<SigningKey | undefined> {
  const file = newest !== undefined && signingKeyFile(places.keysFolder, newest);
  return file && (await exists(file)) ? readKey<SigningKey>(SigningKey, file, places) : undefined;
}

/** Opens `<secrets>/model_guard_<name>_key`, else `<keys>/<name>.key`, which is made where a new server has neither. */
async function openOrMake<Key extends Saved>(kind: KeyClass<Key>, places: KeyPlaces, name: string, fresh: boolean): Promise<Key> {
  const secret = secretFile(places.secretsFolder, name);
  if (await exists(secret)) return readKey(kind, secret, places);
  const file = ownFile(places.keysFolder, name);
  if (!(await exists(file))) {
    if (!fresh)
      throw new ModelGuardError('NOT_FOUND', `The key ${file} is missing, and the database was made with it`, {
        advice: 'Restore the key files that belong to this database.',
      });
    try {
      await kind.generate().save(file);
    } catch (error) {
      // Another process made the file first.
      if (!isModelGuardError(error) || error.code !== 'ALREADY_EXISTS') throw error;
    }
  }
  return readKey(kind, file, places);
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw new ModelGuardError('PERMISSION_DENIED', `Could not look at ${path}`, { cause: error });
  }
}
