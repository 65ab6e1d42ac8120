/** A thousand models get a new key: killed in the middle and taken up again, while devices load on and on, and no big part is touched. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { verifyAuditLog } from '@org/model-guard';
import type { Checkpoint, RouteAnswer } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../../test/support/children.js';
import { print } from '../../../test/support/print.js';
import { scaled } from '../../../test/support/sample.js';
import { seeded } from '../../../test/support/seed.js';
import { projectRoot } from '../../../test/support/shared.js';
import { filesIn } from '../support/needles.js';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { entitle, Machine, Publisher, type TestContainer } from '../support/story.js';

const MODELS = scaled(1000, 100);
const NAMES = 10;
const LARGEST = 2 ** 21;
const LOADERS = 4;
const random = seeded('rotation');

type Rotation = RouteAnswer<'rotateKeys'>;
let server: TestServer;
let publisher: Publisher;
const made: TestContainer[] = [];
let big: Map<string, string>;

/** From one byte on, as many small ones as large ones. */
const anySize = (): number => 1 + random.integer(2 ** random.integer(Math.log2(LARGEST) + 1));

beforeAll(async () => {
  server = await startTestServer({ config: { logLevel: 'error' } });
  publisher = new Publisher(server);
  for (let n = 0; n < NAMES; n++) {
    await publisher.register(`m${n}`);
    await entitle(server, 'operator', { name: `m${n}`, seats: 1_000_000 });
  }
  for (let n = 0; n < MODELS; n++)
    made.push(await publisher.publish({ name: `m${n % NAMES}`, version: `${n}`, size: anySize() }));
  big = bigParts();
});
afterAll(() => server.close());

/** The properties that a touch would change: content, inode, times. */
function bigParts(): Map<string, string> {
  const folder = path.join(server.folder, 'parts', 'big');
  const parts = [...filesIn(folder).keys()].map((file) => {
    const { ino, mtimeMs, ctimeMs } = statSync(file);
    return [file, `${ino} ${mtimeMs} ${ctimeMs} ${createHash('sha256').update(readFileSync(file)).digest('hex')}`] as const;
  });
  return new Map(parts);
}

const newest = async (): Promise<Rotation> => (await server.request('admin', 'keys')).json().rotations[0];

/** Loads whatever model, on several devices, until the rotation is over; returns how many. */
async function loadUntilDone(): Promise<number> {
  let loads = 0;
  let running = true;
  const loader = async (): Promise<void> => {
    const machine = await Machine.ready(server);
    while (running) {
      const model = random.pick(made);
      const answer = await machine.take({ name: model.name, version: model.version });
      expect(outcomeOf(answer)).toBe('201');
      const plain = await machine.open(server, answer.json(), model.big, publisher.key);
      expect(Buffer.from(plain).equals(model.plain)).toBe(true);
      loads++;
    }
  };
  const watcher = async (): Promise<void> => {
    while ((await newest()).state === 'running');
    running = false;
  };
  await Promise.all([watcher(), ...Array.from({ length: LOADERS }, loader)]);
  return loads;
}

async function expectAllWrappedTo(key: string): Promise<void> {
  const rows = await server.context.db.selectFrom('versions').select(['wrapped_to']).execute();
  expect(rows).toHaveLength(MODELS);
  expect(new Set(rows.map(({ wrapped_to }) => wrapped_to))).toEqual(new Set([key]));
}

describe(`a rotation of ${MODELS} models`, () => {
  it('that is killed is taken up by the next process, and loads work throughout', async () => {
    await server.stop();
    const entry = path.join(projectRoot, 'server/test/children/rotate.ts');
    const env = { TSX_TSCONFIG_PATH: path.join(projectRoot, 'server/tsconfig.json') };
    const child = new Child([process.execPath, '--import', 'tsx', entry, server.folder, '20'], { env });
    const { signal, stderr } = await child.ended;
    expect(signal, stderr).toBe('SIGKILL');

    server = await server.restart();
    const before = await newest();
    expect(before.done).toBeGreaterThan(0);
    expect(before).toMatchObject({ state: 'running', total: MODELS });
    const loads = await loadUntilDone();
    const done = await newest();
    expect(done).toMatchObject({ id: before.id, state: 'done', done: MODELS });
    await expectAllWrappedTo(done.to);
    expect(bigParts()).toEqual(big);
    print(`rotation taken up at ${before.done} of ${MODELS}; ${loads} loads meanwhile`);
  });

  it('does it all again at once, with the same models in use', async () => {
    const started = Date.now();
    const answer = await server.request('apiAdmin', 'rotateKeys', { body: {} });
    expect(outcomeOf(answer)).toBe('202');
    const loads = await loadUntilDone();
    const done = await newest();
    expect(done).toMatchObject({ id: answer.json().id, state: 'done', total: MODELS, done: MODELS });
    await expectAllWrappedTo(done.to);
    expect(bigParts()).toEqual(big);
    print(`rotation of ${MODELS} small parts in ${Date.now() - started} ms; ${loads} loads meanwhile`);
  });

  it('leaves every model to load, and a log that verifies', async () => {
    const machine = await Machine.ready(server);
    for (const model of made) {
      const answer = await machine.take({ name: model.name, version: model.version });
      expect(outcomeOf(answer)).toBe('201');
      const plain = await machine.open(server, answer.json(), model.big, publisher.key);
      expect(Buffer.from(plain).equals(model.plain)).toBe(true);
    }
    const signed: Checkpoint = (await server.request('admin', 'auditCheckpoint')).json();
    const log = (await server.request('admin', 'exportAudit')).rawPayload;
    const report = await verifyAuditLog(log, { checkpoint: signed, key: server.context.keys.audit.publicKey });
    expect(report.covered).toBeGreaterThan(MODELS);
  });
});
