/** An object storage in memory, as an implementer of `ObjectStorage` would begin one. */
import { createHash, randomUUID } from 'node:crypto';
import { throwIfAborted } from '../../src/base/abort.js';
import { ModelGuardError } from '../../src/errors.js';
import type {
  ListedObject,
  ObjectFacts,
  ObjectRequest,
  ObjectStorage,
  StartedUpload,
  StoredPiece,
} from '../../src/stores/object/storage.js';
import type { RangeResponse } from '../../src/transfer/range-source.js';

interface MemoryObject {
  readonly bytes: Uint8Array;
  readonly modified: number;
}
interface MemoryUpload {
  readonly key: string;
  readonly started: number;
  readonly pieces: Map<number, MemoryObject>;
}

export class MemoryObjects implements ObjectStorage {
  readonly #objects = new Map<string, MemoryObject>();
  readonly #uploads = new Map<string, MemoryUpload>();

  #find(key: string, { what, signal }: ObjectRequest): MemoryObject {
    throwIfAborted(signal);
    const object = this.#objects.get(key);
    if (!object) throw new ModelGuardError('NOT_FOUND', `${what} is not there`);
    return object;
  }

  #findUpload(upload: string, { what, signal }: ObjectRequest): MemoryUpload {
    throwIfAborted(signal);
    const found = this.#uploads.get(upload);
    if (!found) throw new ModelGuardError('NOT_FOUND', `${what}: the upload is over`);
    return found;
  }

  async head(key: string, request: ObjectRequest): Promise<ObjectFacts> {
    const { bytes, modified } = this.#find(key, request);
    return { size: bytes.length, modified };
  }

  async read(key: string, limit: number, request: ObjectRequest): Promise<Uint8Array> {
    const { bytes } = this.#find(key, request);
    if (bytes.length > limit) throw new ModelGuardError('LIMIT_EXCEEDED', `${request.what} holds more than ${limit} bytes`);
    return bytes.slice();
  }

  async range(key: string, offset: number, length: number, request: ObjectRequest): Promise<RangeResponse> {
    const { bytes } = this.#find(key, request);
    const body = bytes.slice(offset, offset + length);
    const contentRange = `bytes ${offset}-${offset + body.length - 1}/${bytes.length}`;
    return { status: 206, contentRange, contentLength: body.length, bytes: one(body), discard: () => undefined };
  }

  async write(key: string, bytes: Uint8Array, request: Parameters<ObjectStorage['write']>[2]): Promise<void> {
    throwIfAborted(request.signal);
    if (request.ifAbsent && this.#objects.has(key))
      throw new ModelGuardError('ALREADY_EXISTS', `${request.what} is there already`);
    this.#objects.set(key, { bytes: bytes.slice(), modified: Date.now() });
  }

  async remove(key: string): Promise<void> {
    this.#objects.delete(key);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    for (const [key, { modified }] of [...this.#objects]) if (key.startsWith(prefix)) yield { key, modified };
  }

  async createUpload(key: string): Promise<string> {
    const upload = randomUUID();
    this.#uploads.set(upload, { key, started: Date.now(), pieces: new Map() });
    return upload;
  }

  async sendPiece(_key: string, upload: string, number: number, bytes: Uint8Array, request: ObjectRequest): Promise<string> {
    this.#findUpload(upload, request).pieces.set(number, { bytes: bytes.slice(), modified: Date.now() });
    return md5(bytes);
  }

  async *listPieces(_key: string, upload: string, request: ObjectRequest): AsyncGenerator<StoredPiece> {
    for (const [number, { bytes, modified }] of this.#findUpload(upload, request).pieces)
      yield { number, size: bytes.length, etag: md5(bytes), modified };
  }

  async completeUpload(
    key: string,
    upload: string,
    etags: ReadonlyMap<number, string>,
    request: ObjectRequest & { readonly timeoutMs: number },
  ): Promise<void> {
    const { pieces } = this.#findUpload(upload, request);
    const numbers = [...etags.keys()].sort((a, b) => a - b);
    await this.write(key, Buffer.concat(numbers.map((number) => pieces.get(number)?.bytes ?? new Uint8Array())), request);
    this.#uploads.delete(upload);
  }

  async abortUpload(_key: string, upload: string, request: ObjectRequest): Promise<void> {
    this.#findUpload(upload, request);
    this.#uploads.delete(upload);
  }

  async *listUploads(prefix: string): AsyncGenerator<StartedUpload> {
    for (const [upload, { key, started }] of [...this.#uploads]) if (key.startsWith(prefix)) yield { key, upload, started };
  }
}

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
