/** Archives that lie at the clients: what they are called, what they must look like, and their sealed keys. */
import { basename } from 'node:path';
import { abortable } from '../../base/abort.js';
import { encode, unhex } from '../../base/bytes.js';
import { normaliseName } from '../../base/names.js';
import { filePath, parse } from '../../base/validate.js';
import { wholeContainer } from '../../engine/container.js';
import { handleOf, wrongType } from '../../keys/key.js';
import { decodeKey } from '../../keys/text.js';
import type { KeyHandle } from '../../native/binding.js';
import { call } from '../../native/index.js';
import type { Connection } from '../connection.js';
import { digestFile } from '../file-digest.js';
import { paged } from '../http/pages.js';
import { registerArchiveOptions } from '../options.js';
import { gone } from '../outcome.js';
import type { Archive, ArchiveFormat } from '../records.js';
import type { CallerOptions, RegisterArchiveOptions } from '../types.js';

/** Registered archives. */
export class Archives {
  readonly #connection: Connection;
  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Page after page, as the iteration goes on. */
  list({ signal }: CallerOptions = {}): AsyncIterable<Archive> {
    return paged(signal, (cursor) => this.#connection.call('listArchives', { query: { cursor } }, { signal }));
  }
  /** NOT_FOUND */
  get(name: string, options: CallerOptions = {}): Promise<Archive> {
    return this.#connection.call('getArchive', { params: { name } }, options);
  }
  /** Forgets an archive and its key. The file stays where it is, and cannot be unlocked any more. */
  async delete(name: string, options: CallerOptions = {}): Promise<void> {
    await this.#connection.call(
      'deleteArchive',
      { params: { name } },
      options,
      gone((asking) => this.get(name, asking)),
    );
  }

  /**
   * Registers an archive: its digest, and its key sealed to the server. The file itself goes nowhere. That the key opens it is tried
   * first, as far as that can be told.
   * @param archive Path of the archive.
   * @throws NOT_FOUND, PERMISSION_DENIED, SOURCE_CHANGED · NO_MATCHING_IDENTITY, LEGACY_FAILED, what is wrong with a container ·
   *   KEY_TYPE_WRONG, NAME_INVALID, INVALID_ARGUMENT · ALREADY_EXISTS, NOT_AUTHORISED and whatever else the server refuses · ABORT_ERR
   * @example
   * await guard.archives.register('images.tar.mguard', { name: 'images', key });
   */
  async register(archive: string, options: RegisterArchiveOptions): Promise<Archive> {
    const path = parse(filePath, archive, 'archive');
    const { key, name = normaliseName(basename(path)), ...run } = parse(registerArchiveOptions, options);
    const { signal } = run;
    const { handle, format } = archiveKey(key);
    return await abortable(signal, async () => {
      await tryKey(path, handle, format);
      const { sha256, size } = await digestFile(path, run);
      const { server, current } = await this.#connection.freshFacts({ signal });
      const { bytes } = decodeKey(current, ['mgx1:']);
      const fragment = call((native) => native.sealFragment(handle, bytes, unhex(server), name));
      const body = { name, format, sha256, size, fragment: encode(fragment) };
      return await this.#connection.call('registerArchive', { body }, { signal }, async (asking) => {
        const there = await this.get(name, asking);
        const same = there.format === format && there.sha256 === sha256 && there.size === size;
        return same ? { answer: there } : undefined;
      });
    });
  }
}

function archiveKey(key: unknown): { handle: KeyHandle; format: ArchiveFormat } {
  const handle = handleOf(key);
  const type = handle && call((native) => native.keyType(handle));
  if (handle && type === 'master') return { handle, format: 'container' };
  if (handle && type === 'legacy') return { handle, format: 'legacy' };
  throw wrongType('options.key', 'a MasterKey or a LegacyKey', key);
}

/** Makes sure that the archive can be unlocked, so that its maker notices a fault. */
async function tryKey(path: string, key: KeyHandle, format: ArchiveFormat): Promise<void> {
  if (format === 'legacy') {
    (await call((native) => native.legacyOpen({ file: path }, key))).close();
    return;
  }
  const { head } = await wholeContainer(path);
  const trust = { publishers: [] };
  await call((native) => native.open({ small: head, identities: [key], trust }));
}
