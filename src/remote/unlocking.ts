/** An archive on its way from its file to a pipe. */
import { basename } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { abortable, throwIfAborted } from '../base/abort.js';
import { decode, unhex } from '../base/bytes.js';
import { normaliseName } from '../base/names.js';
import { beginning, wholeContainer } from '../engine/container.js';
import { AbortError, ModelGuardError } from '../errors.js';
import { resolveVerifiers, type Verifier } from '../keys/verifiers.js';
import type { KeyHandle } from '../native/binding.js';
import { call } from '../native/index.js';
import { controlled, meter } from '../native/work.js';
import type { Connection } from './connection.js';
import { type Memory, namingLog } from './device/memory.js';
import { proveLease, type Signer } from './device/proof.js';
import { digestFile } from './file-digest.js';
import type { Archive } from './records.js';
import { checkCheckpoint } from './trust.js';
import type { ByteSink, ByteStream, UnlockOptions, UnlockState } from './types.js';

const PIECE = 1024 * 1024;

export interface UnlockingOptions extends UnlockOptions {
  readonly path: string;
  readonly connection: Connection;
  readonly memory: Memory;
  readonly device: Signer;
  /** Publishers that are pinned for an archive of that name. */
  readonly publishers: (name: string) => Verifier | undefined;
}

/** Plaintext, wherever the ciphertext is. */
interface Source {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): void;
}

/**
 * An archive being unlocked; nothing happens before its stream is read. `unlock` makes it.
 * @example
 * const tar = spawn('tar', ['-x'], { stdio: ['pipe', 'inherit', 'inherit'], detached: true });
 * const onState = (state: UnlockState) => state === 'failed' && process.kill(-tar.pid, 'SIGKILL'); // it and what it started
 * await guard.unlock('images.tar.mguard', { onState }).pipeTo(tar.stdin);
 */
export class Unlocking {
  readonly #options: UnlockingOptions;
  #state: UnlockState = 'idle';
  #failure: Error | undefined;
  /** The decrypted bytes. What was read is the reader's: wipe it when it is used up, or have {@link pipeTo} do so. */
  readonly stream: ByteStream;

  /** @internal */
  constructor(options: UnlockingOptions) {
    this.#options = options;
    const stream = Readable.from(this.#run(), { objectMode: false, highWaterMark: 1 });
    this.stream = stream;
    const { signal } = options;
    const abort = (): void => void stream.destroy(new AbortError(signal?.reason));
    signal?.addEventListener('abort', abort);
    stream.once('close', () => {
      signal?.removeEventListener('abort', abort);
      // The reader wants no more, or never read it.
      this.#fail(stream.errored ?? new AbortError());
    });
  }

  /** Where it is. */
  get state(): UnlockState {
    return this.#state;
  }

  /** Why it failed. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Writes everything to `sink` and ends it; each piece is wiped as soon as it was written, so `sink` must not keep it. Where it fails,
   * `sink` is destroyed: to a program behind a pipe that looks like the end of the whole, so kill it in `onState`, which is told
   * `failed` first.
   * @throws What the stream fails with, and what `sink` does
   */
  async pipeTo(sink: ByteSink): Promise<void> {
    const target = sink as Writable;
    const stream = this.stream as Readable;
    let broken: Error | undefined;
    const note = (error: Error): void => {
      broken ??= error;
    };
    // A target that takes nothing does not keep a failure waiting.
    const leave = (): void => {
      if (this.#failure) target.destroy();
    };
    target.on('error', note);
    stream.once('close', leave);
    try {
      for await (const piece of stream as AsyncIterable<Uint8Array>) {
        try {
          await taken(target, (done) => target.write(piece, done));
        } finally {
          piece.fill(0);
        }
      }
      await taken(target, (done) => target.end(done));
    } catch (error) {
      const told = this.#failure ?? broken ?? (error as Error);
      this.#fail(told);
      target.destroy();
      throw told;
    } finally {
      target.off('error', note);
      stream.off('close', leave);
    }
  }

  #enter(state: UnlockState): void {
    this.#state = state;
    this.#options.onState?.(state);
  }

  #fail(error: Error): void {
    if (this.#state === 'failed' || this.#state === 'done') return;
    this.#failure = error;
    this.#enter('failed');
  }

  async *#run(): AsyncGenerator<Uint8Array, void, undefined> {
    const { signal } = this.#options;
    let source: Source | undefined;
    try {
      const opened = await abortable(signal, () => this.#open());
      source = opened;
      this.#enter('decrypting');
      const report = meter('decrypt', opened.size, this.#options);
      for (let at = 0; at < opened.size; at += PIECE) {
        throwIfAborted(signal);
        report(at);
        yield await call(() => opened.read(at, Math.min(PIECE, opened.size - at)));
      }
      report(opened.size);
      this.#enter('done');
    } catch (error) {
      this.#fail(error as Error);
      throw error;
    } finally {
      source?.close();
    }
  }

  async #open(): Promise<Source> {
    const { path, name = normaliseName(basename(path)), connection, signal } = this.#options;
    this.#enter('authenticating');
    await connection.token({ signal });
    this.#enter('fetchingKey');
    const archive = await connection.call('getArchive', { params: { name } }, { signal });
    const publishers = this.#publishers(archive);
    const { sha256, size, stillThere } = await digestFile(path, this.#options);
    if (sha256 !== archive.sha256 || size !== archive.size)
      throw new ModelGuardError('ARCHIVE_CHANGED', `${path} is not what was registered as ${archive.name}`);
    // Or a server could have a container read without its signature, by calling it something else.
    if (archive.format === 'legacy' && (await isContainer(path)))
      throw new ModelGuardError('RESPONSE_INVALID', `The server calls ${path} a legacy artifact, and it is a container`);
    const key = await this.#key(archive);
    const source = archive.format === 'container' ? await this.#container(key, publishers) : await legacy(path, key);
    try {
      // From here on the engine itself notices changes.
      await stillThere();
    } catch (error) {
      source.close();
      throw error;
    }
    return source;
  }

  /** VERIFIER_REQUIRED. A legacy artifact has no origin but what was registered. */
  #publishers({ format, name }: Archive): readonly Uint8Array[] {
    const { verifier, unsigned, publishers } = this.#options;
    if (format === 'legacy' || unsigned) return [];
    const trusted = verifier ?? publishers(name);
    if (trusted === undefined)
      throw new ModelGuardError('VERIFIER_REQUIRED', 'Nothing says whom to trust for the origin of this archive');
    return resolveVerifiers(trusted, 'verifier');
  }

  /** Fetched sealed to this device, opened natively. */
  async #key({ name, sha256, size, format }: Archive): Promise<KeyHandle> {
    const { connection, memory, device, signal } = this.#options;
    const before = await memory.before(signal);
    const { client, trust } = connection;
    return await connection.procedure({ repeatable: true, signal }, async (options) => {
      const facts = await trust.facts(options);
      const { challenge } = await client.call('challengeLease', { body: {} }, options);
      const grant = await namingLog(before, async (seen) => {
        const body = { device: device.id, challenge, ...seen, name };
        const proof = proveLease(device, { serverId: facts.server, challenge }, body);
        return await client.call('unlockArchive', { params: { name }, body }, { ...options, ...proof });
      });
      const { archive } = grant;
      if (archive.name !== name || archive.sha256 !== sha256 || archive.size !== size || archive.format !== format)
        throw new ModelGuardError('RESPONSE_INVALID', 'The server gives the key of another archive');
      if (grant.checkpoint) checkCheckpoint(grant.checkpoint, facts);
      await memory.learnCheckpoint(before, facts.server, grant);
      const key = call((native) =>
        native.openFragment(device.handle, decode(grant.fragment), unhex(facts.server), name, decode(challenge)),
      );
      const type = call((native) => native.keyType(key));
      if (type !== (format === 'container' ? 'master' : 'legacy'))
        throw new ModelGuardError('KEY_TYPE_WRONG', `The key of ${name} is a ${type} key, which opens no ${format} archive`);
      return key;
    });
  }

  async #container(key: KeyHandle, publishers: readonly Uint8Array[]): Promise<Source> {
    const { path, signal } = this.#options;
    const { head, rest } = await wholeContainer(path);
    const trust = { publishers };
    return await controlled(signal, async (control) => {
      const opened = await call((native) => native.open({ small: head, identities: [key], trust, control }));
      const reader = await call(() => opened.reader({ ...rest, sameContainer: true }, { control }));
      const [only, ...others] = reader.files;
      if (only && others.length === 0)
        return { size: only.size, read: (offset, length) => reader.read(0, offset, length), close: () => reader.close() };
      reader.close();
      throw new ModelGuardError('SOURCE_UNSUPPORTED', `${path} holds ${reader.files.length} files; an archive is one`);
    });
  }
}

/** Until `target` is done with what `give` gave it. One that is closed meanwhile need not say so. */
const taken = (target: Writable, give: (done: (error?: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error('the pipe was closed'));
    target.once('close', gone);
    give((error) => {
      target.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  });

const isContainer = (path: string): Promise<boolean> =>
  beginning(path).then(
    () => true,
    () => false,
  );

async function legacy(path: string, key: KeyHandle): Promise<Source> {
  return await call((native) => native.legacyOpen({ file: path }, key));
}
