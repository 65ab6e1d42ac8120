/**
 * A publication into a bucket is killed again and again, and run again until it is done. If this fails, a crash costs the whole upload, or
 * what was sent stays in the bucket and is paid for.
 */
import { createWriteStream, readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ListMultipartUploadsCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { load, MasterKey, SigningKey, s3Store } from '../../src/index.js';
import type { Publishing } from '../children/publish-s3.js';
import { type Child, startChild } from '../support/children.js';
import { print } from '../support/print.js';
import { type Kind, type Passing, S3Proxy, type Step } from '../support/s3-proxy.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { type Bucket, type KeyPair, makeBucket, s3Client } from '../support/services.js';
import { temporaryFolder } from '../support/temp.js';

const MIB = 1024 * 1024;
const PIECE = 8 * MIB;
const CONNECTIONS = 4;
const folder = temporaryFolder('resume-s3');
const staging = path.join(folder, 'staging');
const random = seeded('resume over S3');
const master = MasterKey.generate();
const signer = SigningKey.generate();
const keys = { master: path.join(folder, 'master'), signing: path.join(folder, 'signing') };

let bucket: Bucket;
let owner: S3Client;
let proxy: S3Proxy;
let versions = 0;

beforeAll(async () => {
  await master.save(keys.master);
  await signer.save(keys.signing);
  bucket = await makeBucket();
  owner = s3Client(bucket, bucket.owner);
  proxy = await S3Proxy.before(bucket.endpoint);
});
afterAll(async () => {
  await proxy.close();
  owner.destroy();
  await bucket.remove();
});

const pair = ({ id, secret }: KeyPair) => ({ accessKeyId: id, secretAccessKey: secret });
const settings = (endpoint: string) => ({
  ...{ bucket: bucket.bucket, endpoint, region: bucket.region, pieceBytes: PIECE, connections: CONNECTIONS },
  credentials: { read: pair(bucket.read), write: pair(bucket.write) },
});

/** When a run is killed: in the middle of encrypting, or when the nth of such requests is at that step. */
type Moment = { readonly kind: 'encrypting' } | { readonly kind: Kind; readonly step: Step; readonly nth: number };
const KINDS: readonly Kind[] = ['begin', 'complete', 'tree', 'small', ...Array<Kind>(8).fill('piece')];
const STEPS: readonly Step[] = ['arrives', 'done', 'answered'];

/** What is staged is encrypted in the first run only; and only pieces take their time to pass. */
function anyMoment(pieces: number, first: boolean): Moment {
  if (first && random.integer(4) === 0) return { kind: 'encrypting' };
  const kind = random.pick(KINDS);
  if (kind !== 'piece') return { kind, step: random.pick(STEPS), nth: 1 };
  return { kind, step: random.pick([...STEPS, 'passes'] as const), nth: 1 + random.integer(pieces) };
}
const nameOf = (moment: Moment): string =>
  moment.kind === 'encrypting' ? moment.kind : `${moment.kind} ${moment.nth} ${moment.step}`;

async function randomFile(file: string, size: number): Promise<void> {
  await pipeline(function* () {
    for (let at = 0; at < size; at += MIB) yield random.bytes(Math.min(MIB, size - at));
  }, createWriteStream(file));
}

/** One version on its way into the bucket, over as many runs as it takes. */
class Publication {
  readonly #version: string;
  readonly #file: string;
  /** Pieces that the server has: key, upload and number. */
  readonly #stored = new Set<string>();
  readonly #again: string[] = [];
  readonly #sent: Passing[] = [];
  begun = 0;

  constructor(file: string) {
    this.#file = file;
    this.#version = `${++versions}`;
  }

  get ref(): string {
    return `net@${this.#version}`;
  }

  /** Of pieces, those that did not come to their end included. */
  get bytesSent(): number {
    return this.#sent.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** What was published; undefined if it was killed before it could say so. */
  async run(moment?: Moment): Promise<string | undefined> {
    let child: Child | undefined;
    let count = 0;
    proxy.watch = (step, passing) => {
      this.#note(step, passing);
      if (moment?.kind !== passing.kind || moment.step !== step || ++count !== moment.nth) return undefined;
      return child?.kill();
    };
    const publishing: Publishing = {
      ...{ source: this.#file, resume: staging, version: this.#version, ...keys },
      store: settings(proxy.endpoint),
    };
    child = startChild('publish-s3.ts', { args: [JSON.stringify(publishing)] });
    let published: string | undefined;
    for (;;) {
      const line = await child.line().catch(() => undefined);
      if (line === undefined) break;
      if (line === 'encrypting' && moment?.kind === 'encrypting') await child.kill();
      if (line.startsWith('published ')) published = line.slice('published '.length);
    }
    const { code, signal, stderr } = await child.ended;
    if (signal !== 'SIGKILL') expect(code, `the run failed by itself: ${stderr}`).toBe(0);
    await proxy.idle();
    return signal === 'SIGKILL' ? undefined : published;
  }

  #note(step: Step, passing: Passing): void {
    const { kind, path: key, upload, number, status } = passing;
    if (kind === 'begin' && step === 'done' && status === 200) this.begun += 1;
    if (kind !== 'piece') return;
    const piece = `${key} ${upload} ${number}`;
    if (step === 'arrives') {
      this.#sent.push(passing);
      if (this.#stored.has(piece)) this.#again.push(piece);
    }
    if (step === 'done' && status === 200) this.#stored.add(piece);
  }

  /** The right model is there, and nothing came twice that the server had. */
  async expectDone(payloadId: string | undefined): Promise<void> {
    expect(this.#again, `${this.ref}: pieces that the server had were sent again`).toEqual([]);
    using model = await load(this.ref, {
      from: s3Store(settings(bucket.endpoint)),
      identities: [master],
      verifier: signer.publicKey,
      cache: false,
    });
    expect(model.metadata.payloadId).toBe(payloadId);
    const handle = await open(this.#file);
    try {
      const piece = Buffer.alloc(16 * MIB);
      for (let at = 0; at < model.bytes.length; at += piece.length) {
        const { bytesRead } = await handle.read(piece, 0, piece.length, at);
        expect(piece.subarray(0, bytesRead).equals(model.bytes.subarray(at, at + piece.length)), `${this.ref} at ${at}`).toBe(
          true,
        );
      }
      expect((await handle.stat()).size).toBe(model.bytes.length);
    } finally {
      await handle.close();
    }
    expect(readdirSync(staging), 'something stays staged').toEqual([]);
  }
}

/** Publishes versions of a file of that size until so many runs were killed. */
async function killed(size: number, times: number): Promise<void> {
  const file = path.join(folder, `model-${size}.bin`);
  await randomFile(file, size);
  const pieces = Math.ceil(size / PIECE);
  for (let kills = 0; kills < times; ) {
    const publication = new Publication(file);
    const moments: string[] = [];
    let published: string | undefined;
    while (published === undefined) {
      // A version gets four kills at most, so that every one of them comes to its end.
      const moment = moments.length < 4 && kills < times ? anyMoment(pieces, moments.length === 0) : undefined;
      published = await publication.run(moment);
      if (published !== undefined || moment === undefined) continue;
      kills += 1;
      moments.push(nameOf(moment));
    }
    await publication.expectDone(published);
    const { bytesSent, begun } = publication;
    print(
      `resume over S3: ${size / MIB} MiB killed at [${moments.join(', ')}]: ${Math.round(bytesSent / MIB)} MiB sent, ${begun} begun`,
    );
    // What a kill costs: at most the pieces under way; and an upload whose id nobody noted yet was empty.
    expect(bytesSent).toBeLessThanOrEqual(size + PIECE + moments.length * CONNECTIONS * PIECE);
    expect(begun).toBeLessThanOrEqual(1 + moments.length);
  }
}

/** Uploads that are left after all is tidied up. */
async function uploadsLeft(): Promise<unknown[]> {
  // Only who began an upload may ask for its pieces here, and only the owner may list the bucket.
  const credentials = { read: pair(bucket.owner), write: pair(bucket.write) };
  const store = s3Store({ ...settings(bucket.endpoint), credentials, graceMs: 0 });
  await store.collect();
  const { Uploads = [] } = await owner.send(new ListMultipartUploadsCommand({ Bucket: bucket.bucket }));
  return Uploads.map(({ Key }) => Key);
}

describe('a publication that is killed at random moments', { timeout: 3_600_000 }, () => {
  it('sends only what is missing, publishes the whole model, and leaves nothing in the bucket', async () => {
    await killed(scaled(256, 64) * MIB, scaled(20, 3));
    expect(await uploadsLeft()).toEqual([]);
  });

  it.runIf(scaled(1, 0) > 0)('does so with a gigabyte', async () => {
    await killed(1024 * MIB, 1);
    expect(await uploadsLeft()).toEqual([]);
  });
});
