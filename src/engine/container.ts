/** Looking at containers and small parts in memory or in files, before any key is used. */
import { hasCode, ModelGuardError } from '../errors.js';
import { readAll, withFile } from '../files/files.js';
import type { NativeHeaderInfo, NativeSource } from '../native/binding.js';
import { call } from '../native/index.js';
import type { SlotInfo } from '../recipients/kinds.js';
import { bigNameOf } from '../stores/parts.js';
import type { ModelMetadata } from './model.js';
import { PREFIX } from './seal.js';

/** The public facts of a header: read without a key, and not verified. */
export interface ContainerInfo extends ModelMetadata {
  /** Whether all bytes are there or only the small part. */
  readonly kind: 'container' | 'small';
  /** Size of the plaintext message of docs/format.md section 3: the files, their list and padding. */
  readonly plaintextSize: number;
  readonly headerBytes: number;
  readonly payloadBytes: number;
  /** Of a small part: its size, that of its big part, and where in the payload the big part begins. */
  readonly parts?: { readonly smallBytes: number; readonly bigBytes: number; readonly bigName: string } | undefined;
  readonly slots: readonly SlotInfo[];
  readonly signatures: readonly { readonly role: 'publisher' | 'lease' /** 16 hex digits. */; readonly keyId: string }[];
}

/** Magic, version and lengths (docs/format.md, section 1). */
const FIXED = 26;
const NO_KEY = '0'.repeat(16);

/** The beginning of a container or of a small part. */
export interface Beginning {
  readonly info: NativeHeaderInfo;
  /** Header, salt and commitment. */
  readonly head: Uint8Array;
  /** The size of the source. */
  readonly size: number;
  readonly kind: 'container' | 'small';
  /** The bytes after `head`. */
  readonly rest: NativeSource;
}

export async function beginning(source: Uint8Array | string): Promise<Beginning> {
  if (typeof source !== 'string') {
    const head = source.subarray(0, headSize(source.subarray(0, FIXED)));
    return check(head, source.length, 'These bytes', { bytes: source.subarray(head.length) });
  }
  return withFile(source, ({ handle, size }) =>
    namingFile(source, async () => {
      const part = async (length: number) => {
        const bytes = new Uint8Array(Math.min(length, size));
        await readAll(handle, bytes, 0, source);
        return bytes;
      };
      const head = await part(headSize(await part(FIXED)));
      return check(head, size, source, { file: source, fileOffset: head.length });
    }),
  );
}

/** Runs `task` on what the file at `path` holds; NOT_A_CONTAINER names the file, and tells of big parts, which carry no mark. */
export async function namingFile<T>(path: string, task: () => Promise<T> | T): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    if (!hasCode(cause, 'NOT_A_CONTAINER')) throw cause;
    throw new ModelGuardError('NOT_A_CONTAINER', `${path} does not begin as a container or a small part does`, {
      cause,
      advice: 'If it is a big part, give the small part of that model: it tells about both. Else this was never a container.',
    });
  }
}

/** As a container or REFUSED: a small part alone has nothing to decrypt or to split. */
export async function wholeContainer(source: Uint8Array | string): Promise<Beginning> {
  const found = await beginning(source);
  if (found.kind === 'container') return found;
  throw new ModelGuardError('CONTAINER_TRUNCATED', `This is ${found.size} bytes of a container of ${total(found.info)}`, {
    advice: 'If it is a small part, join it with its big part first (merge). Otherwise fetch it again.',
  });
}

const headSize = (fixed: Uint8Array): number => call((native) => native.headerLength(fixed)) + PREFIX;
const total = (info: NativeHeaderInfo): number => info.headerLength + info.payloadLength;

function check(head: Uint8Array, size: number, what: string, rest: NativeSource): Beginning {
  const info = call((native) => native.inspect(head));
  if (size > total(info))
    throw new ModelGuardError('CONTAINER_MALFORMED', `${what}: ${size - total(info)} bytes follow the end of the container`);
  if (size < info.headerLength + PREFIX)
    throw new ModelGuardError('CONTAINER_TRUNCATED', `${what}: the salt and the commitment after the header are missing`);
  return { info, head, size, kind: size === total(info) ? 'container' : 'small', rest };
}

export function publicInfo({ info, size, kind }: Omit<Beginning, 'head' | 'rest'>): ContainerInfo {
  const { headerLength, payloadLength, slots, ...rest } = info;
  const offset = size - headerLength;
  return {
    ...rest,
    kind,
    headerBytes: headerLength,
    payloadBytes: payloadLength,
    ...(kind === 'small' && {
      parts: { smallBytes: size, bigBytes: payloadLength - offset, bigName: bigNameOf(info.payloadId, offset) },
    }),
    slots: slots.map(
      ({ keyId, type, machine, ...slot }): SlotInfo => ({
        ...slot,
        type: type as SlotInfo['type'],
        ...(keyId !== NO_KEY && { keyId }),
        ...(machine && { machine }),
      }),
    ),
  };
}
