/** Parts on their way to the server. */
import type { AbortSignalLike } from '../base/abort.js';
import { encode } from '../base/bytes.js';
import type { RouteAnswer } from '../contract/index.js';
import { within } from '../http/watch.js';
import { call } from '../native/index.js';
import { checkedBigName, checkedRef, label } from '../stores/parts.js';
import type { BigPartSource, ModelRef, Published, Standing, StoreOptions } from '../stores/store.js';
import { sendPieces } from '../transfer/multipart.js';
import { countPieces } from '../transfer/pieces.js';
import type { Connection } from './connection.js';
import { mayBeDone } from './http/client.js';
import { search, withOutcome } from './outcome.js';
import { PieceSender } from './upload-pieces.js';

/** Time limit of a clean-up; the server cleans up the rest later. */
const CLEAN_UP_MS = 5_000;
/** The server checks a part before it publishes it, at so many bytes a millisecond at least. */
const CHECKED_BYTES = 20_000;

interface Part {
  readonly name: string;
  readonly version: string;
  readonly part: string;
}

/** Through the server, or in pieces straight to its storage. What is staged in a file is sent on where an earlier run ended. */
export async function uploadBig(
  connection: Connection,
  ref: ModelRef,
  name: string,
  source: BigPartSource,
  { signal }: StoreOptions,
  now: () => number,
): Promise<void> {
  const params = { ...checkedRef(ref), part: checkedBigName(name) };
  const begun = await begin(connection, params, source.size, signal);
  if (begun.kind === 'direct') await uploadDirect(connection, params, source, signal);
  else if (begun.kind === 'pieces') await uploadPieces(connection, params, source, begun, signal, now);
  // Sent by an earlier run of the same publication: another one has another name.
  else source.skipped?.(source.size);
}

/** Asked twice, it goes on with what there is. */
const begin = (
  connection: Connection,
  params: Part,
  size: number,
  signal: StoreOptions['signal'],
): Promise<RouteAnswer<'beginUpload'>> =>
  connection.procedure({ repeatable: true, signal }, (options) =>
    connection.client.call('beginUpload', { params, body: { size } }, options),
  );

/** A part that is staged in a file is sent again where the connection breaks. */
async function uploadDirect(
  connection: Connection,
  params: Part,
  source: BigPartSource,
  signal: StoreOptions['signal'],
): Promise<void> {
  const { client, session } = connection;
  const again = source.file !== undefined;
  const part = { size: source.size, pieces: () => source.stream(), again };
  const send = (token: string | undefined) => client.upload('putPart', { params }, part, { token, signal });
  // A source that streams only once cannot be sent a second time with another token.
  const token = await connection.token({ signal });
  if (again) await session.authorised(send, signal);
  else await send(token?.token);
}

async function uploadPieces(
  connection: Connection,
  params: Part,
  source: BigPartSource,
  { upload, pieceBytes, present }: Extract<RouteAnswer<'beginUpload'>, { kind: 'pieces' }>,
  signal: StoreOptions['signal'],
  now: () => number,
): Promise<void> {
  const { size } = source;
  await source.notes?.write(JSON.stringify({ guardUpload: upload }));
  const sender = new PieceSender({ connection, upload, count: countPieces(size, pieceBytes), now });
  try {
    await sendPieces({
      size,
      pieceBytes,
      source,
      present: new Map(present.map((piece) => [piece.number, piece.size])),
      send: (number, bytes, until) => sender.send(number, bytes, until),
      pace: connection.client.pace,
      signal,
    });
    await complete(connection, params, upload, size, signal);
  } catch (error) {
    // A later run continues a staged upload from the state that the server keeps.
    if (!source.notes) await abandon(connection, upload);
    throw error;
  }
}

/** Where the answer is lost, the server is asked whether it happened. */
async function complete(
  connection: Connection,
  params: Part,
  upload: string,
  size: number,
  signal: StoreOptions['signal'],
): Promise<void> {
  const { client } = connection;
  try {
    await connection.procedure({ repeatable: false, signal }, (options) =>
      client.call('completeUpload', { params: { upload }, body: {} }, { ...options, timeoutMs: patience(connection, size) }),
    );
  } catch (error) {
    // After a cancellation nothing is published: the pieces are of no use.
    if (!mayBeDone(error) || signal?.aborted) throw error;
    const find = async (options: StoreOptions) => {
      const { kind } = await begin(connection, params, size, options.signal);
      return kind === 'stored' ? { answer: kind } : undefined;
    };
    if (!(await search({ pace: client.pace, find, signal, patience: patience(connection, size) }))) throw error;
  }
}

/** Gives up what {@link uploadBig} noted; notes of other stores are passed over. */
export async function abandonBig(connection: Connection, notes: string, { signal }: StoreOptions): Promise<void> {
  const upload = /^\{"guardUpload":"([0-9a-f]{32})"\}$/.exec(notes)?.[1];
  if (upload !== undefined) await connection.call('abortUpload', { params: { upload } }, { signal });
}

/** Best effort, also after a cancellation: the server itself gives up abandoned uploads. */
async function abandon(connection: Connection, upload: string): Promise<void> {
  const abort = (signal: AbortSignalLike) => connection.call('abortUpload', { params: { upload } }, { signal });
  await within(CLEAN_UP_MS, undefined, abort).catch(() => undefined);
}

/** How long the server may be at a part of so many bytes, in milliseconds. */
const patience = ({ client }: Connection, bytes: number): number => client.transport.timeoutMs + Math.ceil(bytes / CHECKED_BYTES);

/** The commit. Where its answer is lost, or it is cancelled, the server is asked whether it happened: it is never done twice. */
export async function publishSmall(
  connection: Connection,
  ref: ModelRef,
  small: Uint8Array,
  { ifAbsent = false, signal }: StoreOptions & { readonly ifAbsent?: boolean | undefined },
): Promise<Published> {
  const params = checkedRef(ref);
  const { payloadId } = call((native) => native.inspect(small));
  const body = { small: encode(small), overwrite: !ifAbsent };
  // The server reads the whole big part before it says yes.
  const timeoutMs = patience(connection, call((native) => native.describeSmall(small)).bigSize);
  const { client } = connection;
  const publish = async () =>
    stateOf(
      await connection.procedure({ repeatable: false, signal }, (options) =>
        client.call('publishVersion', { params, body }, { ...options, timeoutMs }),
      ),
    );
  const find = async (options: StoreOptions) => {
    const there = await standingOf(connection, params, options);
    return there?.payloadId === payloadId ? { answer: { state: there.state } } : undefined;
  };
  const detail = `${label(params)}, payload ${payloadId}`;
  return await withOutcome(publish, { route: 'publishVersion', pace: client.pace, signal, find, patience: timeoutMs, detail });
}

const stateOf = ({ state }: { readonly state: string }): Published => ({ state: state === 'released' ? 'released' : 'pending' });

/** A version of that name, in whatever state, if it is there. A list is asked: that there is none is no refusal, and no alarm. */
export async function standingOf(connection: Connection, ref: ModelRef, { signal }: StoreOptions): Promise<Standing | undefined> {
  const query = { ...checkedRef(ref), limit: 1 };
  const [there] = (await connection.call('listVersions', { query }, { signal })).items;
  return there && { payloadId: there.payloadId, ...stateOf(there) };
}
