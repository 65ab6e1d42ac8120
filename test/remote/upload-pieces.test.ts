/** Publishing straight to the server's storage. What fails here sends a token to strangers, loses an upload, or publishes half a part. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type BigPartSource, type GuardServer, ModelGuardError, type UploadNotes } from '../../src/index.js';
import { codeOf, failureOf } from '../support/failures.js';
import { fakeClient } from '../support/fake-client.js';
import { FakeGuard, failure, type Handler } from '../support/fake-guard.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('pieces');
const random = seeded('upload-pieces');
const fake = new FakeGuard();
const ref = { name: 'net', version: '1' };
const name = `${'0'.repeat(32)}-56`;
const upload = 'ab'.repeat(16);
const PIECE = 100_000;
const bytes = random.bytes(25 * PIECE + 321);

/** An object store that takes pieces by their addresses. */
class Storage {
  readonly pieces = new Map<number, Buffer>();
  readonly came: { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers'] }[] = [];
  /** Answers instead; what it returns true for is taken as usual. */
  refuse: (number: number, response: ServerResponse, url: URL) => boolean = () => false;
  readonly #server = createServer((request, response) => {
    this.#take(request, response).catch(() => response.destroy());
  });
  url = '';
  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    this.came.push({ method, url, headers });
    const got: Buffer[] = [];
    for await (const piece of request) got.push(piece as Buffer);
    const address = new URL(url, this.url);
    const number = Number(address.searchParams.get('partNumber'));
    if (this.refuse(number, response, address)) return;
    this.pieces.set(number, Buffer.concat(got));
    response.writeHead(200, { etag: '"x"' });
    response.end();
  }
}
const storage = new Storage();
let asked: number[][] = [];
let folders = 0;
let guard: GuardServer;
let noted: number[];
/** The server's side of it. */
function pieces(
  present: readonly { number: number; size: number }[] = [],
  url = (number: number) => `${storage.url}/bucket/key?partNumber=${number}`,
): void {
  fake.on('beginUpload', () => ({ json: { kind: 'pieces', upload, pieceBytes: PIECE, present } }));
  fake.on('uploadUrls', ({ json, params }) => {
    expect(params.upload).toBe(upload);
    const numbers = json.numbers as number[];
    asked.push(numbers);
    return { json: { urls: numbers.map((number) => ({ number, url: url(number), expires: fake.now + 300 })) } };
  });
  fake.on('completeUpload', () => ({ json: { name, size: bytes.length } }));
  fake.on('abortUpload', () => ({ status: 204 }));
}
beforeAll(async () => {
  await fake.listen();
  await storage.listen();
});
afterAll(async () => {
  storage.close();
  await fake.close();
});
beforeEach(() => {
  const client = fakeClient(fake, { state: path.join(base, `state-${folders++}`) });
  guard = client.guard;
  noted = client.pace.pauses;
  pieces();
});
afterEach(() => {
  fake.restore();
  asked = [];
  storage.pieces.clear();
  storage.came.length = 0;
  storage.refuse = () => false;
});

const source = (more: Partial<BigPartSource> = {}): BigPartSource => ({
  size: bytes.length,
  stream: async function* (offset = 0) {
    for (let at = offset; at < bytes.length; at += 70_000) yield bytes.subarray(at, at + 70_000);
  },
  tree: () => bytes.subarray(0, 3000),
  ...more,
});
const notes = (): UploadNotes & { text?: string } => {
  const kept: UploadNotes & { text?: string } = {
    read: async () => kept.text,
    write: async (text) => {
      kept.text = text;
    },
  };
  return kept;
};
const whole = (): Buffer => Buffer.concat([...storage.pieces].sort(([a], [b]) => a - b).map(([, piece]) => piece));
const answer = (response: ServerResponse, status: number, code = 'No'): true => {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>secret-of-the-storage</Message></Error>`);
  return true;
};

describe('pieces', () => {
  it('go to their addresses, each of its size, without the token, and are put together', async () => {
    await guard.putBig(ref, name, source());
    expect(Buffer.compare(whole(), bytes)).toBe(0);
    expect(fake.count('completeUpload')).toBe(1);
    expect(fake.count('putPart')).toBe(0);
    expect(storage.came).toHaveLength(26);
    for (const { method, headers } of storage.came) {
      expect(method).toBe('PUT');
      expect(headers.authorization).toBeUndefined();
      expect(headers['transfer-encoding']).toBeUndefined();
    }
    expect(storage.came.filter(({ headers }) => headers['content-length'] === String(PIECE))).toHaveLength(25);
    // In batches, each piece once: nobody asks for what he has.
    expect(asked.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 26 }, (_, index) => index + 1));
    expect(asked.length).toBeLessThanOrEqual(3);
  });

  it('that an earlier run sent are not sent again, where the part is staged', async () => {
    const present = Array.from({ length: 24 }, (_, index) => ({ number: index + 1, size: index === 6 ? PIECE - 1 : PIECE }));
    pieces(present);
    let skipped = 0;
    const kept = notes();
    await guard.putBig(ref, name, source({ file: '/staged', notes: kept, skipped: (count) => (skipped += count) }));
    expect([...storage.pieces.keys()].sort((a, b) => a - b)).toEqual([7, 25, 26]);
    expect(skipped).toBe(23 * PIECE);
    expect(kept.text).toContain(upload);
  });

  it.each([200, 302, 403, 404, 407])(
    'that a page answers with status %i are sent again: no storage took them',
    async (status) => {
      const met = new Set<number>();
      storage.refuse = (number, response) => {
        if (met.has(number)) return false;
        met.add(number);
        response.writeHead(status, { 'content-type': 'text/html' }).end('<html>');
        return true;
      };
      await guard.putBig(ref, name, source());
      expect(Buffer.compare(whole(), bytes)).toBe(0);
    },
  );

  it.each([401, 403, 410])('whose address is over (%i) get another one, once', async (status) => {
    let generation = 0;
    pieces([], (number) => `${storage.url}/?partNumber=${number}&generation=${generation}`);
    storage.refuse = (number, response, url) => {
      if (number !== 3 || Number(url.searchParams.get('generation')) > 0) return false;
      generation = 1;
      return answer(response, status, 'AccessDenied');
    };
    await guard.putBig(ref, name, source());
    expect(Buffer.compare(whole(), bytes)).toBe(0);

    storage.refuse = (number, response) => number === 3 && answer(response, status, 'AccessDenied');
    const refused = await failureOf(() => guard.putBig(ref, name, source()));
    expect(refused.code).toBe('RESPONSE_INVALID');
    expect(refused.message).toContain(`${status} AccessDenied`);
    expect(refused.message).not.toContain('secret-of-the-storage');
    expect(refused.message).not.toContain('partNumber');
  });

  it('whose address ends before they are sent get another one without being refused', async () => {
    fake.on('uploadUrls', ({ json }) => {
      const numbers = json.numbers as number[];
      asked.push(numbers);
      const url = (number: number): string => `${storage.url}/?partNumber=${number}`;
      return { json: { urls: numbers.map((number) => ({ number, url: url(number), expires: fake.now + 10 })) } };
    });
    await guard.putBig(ref, name, source());
    expect(Buffer.compare(whole(), bytes)).toBe(0);
    expect(asked.length).toBeGreaterThan(3);
  });

  it.each<[string, (response: ServerResponse) => boolean]>([
    ['is busy', (response) => answer(response, 503, 'SlowDown')],
    ['fails', (response) => answer(response, 500, 'InternalError')],
    ['has a long page for it', (response) => Boolean(response.writeHead(503).end('x'.repeat(100_000)))],
    ['was waiting', (response) => answer(response, 400, 'RequestTimeout')],
    ['breaks off', (response) => Boolean(response.destroy())],
  ])('are sent again from memory to a storage that %s', async (_, refuse) => {
    const failed = new Set<number>();
    storage.refuse = (number, response) => {
      if (failed.has(number) || number % 5 !== 0) return false;
      failed.add(number);
      return refuse(response);
    };
    let streams = 0;
    const { stream } = source();
    const counted = () => {
      streams += 1;
      return stream();
    };
    await guard.putBig(ref, name, source({ stream: counted }));
    expect([Buffer.compare(whole(), bytes), streams, failed.size]).toEqual([0, 1, 5]);
    expect(noted.length).toBeGreaterThanOrEqual(5);
  });

  it.each(['http://192.0.2.1/x', 'ftp://127.0.0.1/x', 'http://user:word@127.0.0.1/x'])('are not sent to %s', async (url) => {
    pieces([], () => url);
    expect(await codeOf(() => guard.putBig(ref, name, source()))).toBe('RESPONSE_INVALID');
    expect(storage.came).toEqual([]);
  });

  it('without an address are told', async () => {
    fake.on('uploadUrls', () => ({ json: { urls: [] } }));
    expect(await codeOf(() => guard.putBig(ref, name, source()))).toBe('RESPONSE_INVALID');
  });
});

describe('an upload that fails', () => {
  const changed = new ModelGuardError('SOURCE_CHANGED', 'it changed');
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 3 * PIECE);
    throw changed;
  };

  it('is given up, and never completed', async () => {
    expect(await failureOf(() => guard.putBig(ref, name, source({ stream: failing })))).toBe(changed);
    expect([fake.count('abortUpload'), fake.count('completeUpload')]).toEqual([1, 0]);
    fake.on('abortUpload', () => failure(500, 'INTERNAL'));
    expect(await failureOf(() => guard.putBig(ref, name, source({ stream: failing })))).toBe(changed);
    for (const size of [bytes.length - 1, bytes.length + 1])
      expect(await codeOf(() => guard.putBig(ref, name, source({ size })))).toBe('IO_FAILED');
    expect(fake.count('completeUpload')).toBe(0);
  });

  it('is kept for a later run where it is staged, until that is given up', async () => {
    const kept = notes();
    expect(await failureOf(() => guard.putBig(ref, name, source({ stream: failing, file: '/staged', notes: kept })))).toBe(
      changed,
    );
    expect(fake.count('abortUpload')).toBe(0);
    await guard.abandonBig(ref, name, 'notes of another store');
    expect(fake.count('abortUpload')).toBe(0);
    await guard.abandonBig(ref, name, kept.text ?? '');
    expect(fake.asked.filter((one) => one.name === 'abortUpload').map(({ params }) => params.upload)).toEqual([upload]);
  });

  it('ends with its signal, and is given up all the same', async () => {
    const controller = new AbortController();
    storage.refuse = () => {
      controller.abort('enough');
      return true;
    };
    expect(await failureOf(() => guard.putBig(ref, name, source(), { signal: controller.signal }))).toMatchObject({
      code: 'ABORT_ERR',
      cause: 'enough',
    });
    expect(fake.count('abortUpload')).toBe(1);
  });
});

describe('putting pieces together', () => {
  const lost: Handler = (_, response) => {
    response.destroy();
    return undefined;
  };

  it('of which the answer is lost is looked for, not done again', async () => {
    let completed = false;
    fake.on('completeUpload', (...args) => {
      completed = true;
      return lost(...args);
    });
    const begin = fake.replaced.get('beginUpload') as Handler;
    fake.on('beginUpload', (...args) => (completed ? { json: { kind: 'stored' } } : begin(...args)));
    await guard.putBig(ref, name, source());
    expect(fake.count('completeUpload')).toBe(1);
  });

  it('that did not happen is an error', async () => {
    fake.on('completeUpload', lost);
    expect(await codeOf(() => guard.putBig(ref, name, source()))).toBe('SERVER_UNREACHABLE');
    fake.on('completeUpload', () => failure(404, 'NOT_FOUND'));
    expect(await codeOf(() => guard.putBig(ref, name, source()))).toBe('NOT_FOUND');
  });
});
