/** Parts on their way to the server. */
import { encode } from '../contract/index.js';
import { hasCode } from '../errors.js';
import { call } from '../native/index.js';
import { checkedBigName, checkedRef } from '../stores/parts.js';
import type { BigPartSource, ModelRef, Published, StoreOptions } from '../stores/store.js';
import type { Connection } from './connection.js';
import { isAnswer } from './http/failures.js';
import { hintOf } from './http/hints.js';

const TREE_PIECE = 1024 * 1024;

/** Streams a big part, then its tree. What is staged in a file is sent again where the connection breaks. */
export async function uploadBig(
  { client, session }: Connection,
  ref: ModelRef,
  name: string,
  source: BigPartSource,
  { signal }: StoreOptions,
): Promise<void> {
  const params = { ...checkedRef(ref), part: checkedBigName(name) };
  const again = source.file !== undefined;
  const part = { size: source.size, pieces: () => source.stream(), again };
  const send = (token: string | undefined) => client.upload('putPart', { params }, part, { token, signal });
  // What streams only once cannot be sent a second time with another token.
  if (again) await session.authorised(send, signal);
  else await send((await session.token(signal))?.token);
  const tree = source.tree();
  const whole = { size: tree.length, pieces: () => cut(tree), again: true };
  await session.authorised((token) => client.upload('putTree', { params }, whole, { token, signal }), signal);
}

async function* cut(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += TREE_PIECE) yield bytes.subarray(at, at + TREE_PIECE);
}

/** The commit. Where its answer is lost, the server is asked whether it happened: it is never done twice. */
export async function publishSmall(
  connection: Connection,
  ref: ModelRef,
  small: Uint8Array,
  { ifAbsent = false, signal }: StoreOptions & { readonly ifAbsent?: boolean | undefined },
): Promise<Published> {
  const params = checkedRef(ref);
  const { payloadId } = call((native) => native.inspect(small));
  const body = { small: encode(small), overwrite: !ifAbsent };
  try {
    return stateOf(await connection.call('publishVersion', { params, body }, { signal }));
  } catch (error) {
    if (hintOf(error)?.effect !== 'unknown') throw error;
    const there = await connection.call('getVersion', { params }, { signal }).catch(() => undefined);
    if (there?.payloadId !== payloadId) throw error;
    return stateOf(there);
  }
}

const stateOf = ({ state }: { readonly state: string }): Published => ({ state: state === 'released' ? 'released' : 'pending' });

/** Whether a version of that name is there, in whatever state. */
export async function isPublished(connection: Connection, ref: ModelRef, { signal }: StoreOptions): Promise<boolean> {
  try {
    await connection.call('getVersion', { params: checkedRef(ref) }, { signal });
    return true;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') && isAnswer(error)) return false;
    throw error;
  }
}
