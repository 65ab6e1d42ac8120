import { abortable, stoppable } from '../base/abort.js';
import { parse, stableBytes } from '../base/validate.js';
import { GuardedModel, intoMemory } from '../engine/model.js';
import type { KeyHandle, NativeArtifact, NativeLegacyReader } from '../native/binding.js';
import { call } from '../native/index.js';
import type { RunOptions } from '../native/work.js';
import { ciphertextSize, nativeArtifact } from './artifact.js';
import { legacyHandle } from './key.js';
import { legacyDecryptOptions, legacyFiles, legacyStreamOptions } from './options.js';
import type { LegacyDecryptOptions, LegacyFiles, LegacyModel, LegacyStreamOptions } from './types.js';

const PIECE = 4 * 1024 * 1024;

/**
 * Decrypts an artifact in memory. **Nothing is authenticated**: about 1 in 256 wrong keys, and as many artifacts cut at a block,
 * give garbage instead of an error. Compare a digest where you know one, and never tell a remote party how it ended.
 * @param artifact IV ‖ ciphertext; copied before the call returns. Of two parts: `await join(small, big)`.
 * @returns The plaintext in guarded memory. Dispose of it when the runtime has its copy.
 * @throws LEGACY_FAILED for everything that can be noticed: the wrong key, salts or length, damage · INVALID_ARGUMENT,
 *   KEY_TYPE_WRONG, OUT_OF_MEMORY, ABORT_ERR
 * @see docs/legacy.md
 * @example
 * using model = await decrypt(artifact, { key });
 */
export async function decrypt(artifact: Uint8Array, options: LegacyDecryptOptions): Promise<LegacyModel> {
  const bytes = parse(stableBytes, artifact, 'artifact');
  const { key, ...run } = parse(legacyDecryptOptions, options);
  return await load({ bytes }, bytes.length, legacyHandle(key), run);
}

/**
 * Decrypts an artifact on disk into guarded memory. **Nothing is authenticated**, see {@link decrypt}.
 * @param artifact Path of the artifact, or of its two parts.
 * @returns The plaintext in guarded memory. Dispose of it when the runtime has its copy.
 * @throws What {@link decrypt} throws; NOT_FOUND, PERMISSION_DENIED, SOURCE_UNSUPPORTED, SOURCE_CHANGED, IO_FAILED
 * @see docs/legacy.md
 * @example
 * using model = await decryptFile({ small: 'defects.small', big: 'defects.big' }, { key });
 */
export async function decryptFile(artifact: LegacyFiles, options: LegacyDecryptOptions): Promise<LegacyModel> {
  const files = parse(legacyFiles, artifact, 'artifact');
  const { key, ...run } = parse(legacyDecryptOptions, options);
  const handle = legacyHandle(key);
  return await abortable(run.signal, async () => load(nativeArtifact(files), await ciphertextSize(files), handle, run));
}

async function load(artifact: NativeArtifact, size: number, key: KeyHandle, run: RunOptions): Promise<LegacyModel> {
  const model = await intoMemory(size, run, (running) => call((native) => native.legacyLoad(artifact, key, 'model', running)));
  return new GuardedModel(model, { origin: 'unauthenticated' });
}

/**
 * Decrypts an artifact on disk as a stream, for archives that go to a pipe: in little memory, and nothing decrypted is written.
 * **Nothing is authenticated**, see {@link decrypt}; what can be noticed is noticed before the first piece. The pieces are ordinary
 * memory of the caller's.
 * @param artifact Path of the artifact, or of its two parts. Opened when the iteration begins, closed when it ends.
 * @throws What {@link decryptFile} throws, from the iteration; INVALID_ARGUMENT and KEY_TYPE_WRONG at once.
 * @see docs/legacy.md
 * @example
 * await pipeline(decryptStream('images.tar.enc', { key: await LegacyKey.forArchive({ bytes: fragment }) }), tar.stdin);
 */
export function decryptStream(artifact: LegacyFiles, options: LegacyStreamOptions): AsyncIterable<Uint8Array> {
  const files = parse(legacyFiles, artifact, 'artifact');
  const { key, signal } = parse(legacyStreamOptions, options);
  const handle = legacyHandle(key);
  return stoppable(plaintext(nativeArtifact(files), handle), signal);
}

async function* plaintext(artifact: NativeArtifact, key: KeyHandle): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = await call((native) => native.legacyOpen(artifact, key));
  try {
    yield* pieces(reader);
  } finally {
    reader.close();
  }
}

/** The plaintext in order, each piece a buffer of its own. */
async function* pieces(reader: NativeLegacyReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < reader.size; at += PIECE) yield await call(() => reader.read(at, Math.min(PIECE, reader.size - at)));
}
