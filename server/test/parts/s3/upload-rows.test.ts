/** Rows of parts in a bucket: the number of an account's open uploads, and the removal of unnamed parts. */
import { ModelGuardError, type Role } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Member } from '../../../src/base/caller.js';
import { startCollection } from '../../../src/parts/collect.js';
import type { Bucket, OpenUpload } from '../../../src/parts/s3/bucket.js';
import { S3Parts } from '../../../src/parts/s3/s3-parts.js';
import { startTestServer, type TestServer } from '../../support/server.js';

const HOUR = 3600;
const MIB = 2 ** 20;
const ref = { name: 'defects', version: '1' };
const partOf = (number: number): string => `${number.toString(16).padStart(32, '0')}-56`;

/** The parts of a bucket that these tests use: it is empty, and notes removals. */
class EmptyBucket {
  readonly removed: string[] = [];
  readonly aborted: string[] = [];
  open: OpenUpload[] = [];
  /** Runs before an object goes. */
  before: (object: string) => Promise<void> | void = () => undefined;
  #count = 0;

  async size(): Promise<number | undefined> {
    return undefined;
  }
  async create(): Promise<string> {
    this.#count += 1;
    return `upload ${this.#count}`;
  }
  async pieces(): Promise<[]> {
    return [];
  }
  async abort(_object: string, id: string): Promise<void> {
    this.aborted.push(id);
  }
  async remove(object: string): Promise<void> {
    await this.before(object);
    this.removed.push(object);
  }
  async *uploads(): AsyncGenerator<OpenUpload> {
    yield* this.open;
  }
}

let server: TestServer;
let bucket: EmptyBucket;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  bucket = new EmptyBucket();
  await server.context.db.deleteFrom('uploads').execute();
});
/** Those of one replica. */
const parts = (): S3Parts => new S3Parts(server.context, bucket as unknown as Bucket, 5 * MIB);
const memberOf = (role: 'operator' | 'resourceUploader'): Member => ({
  account: { ...server.accounts[role], role },
  address: '',
  request: '',
});
const begin = (role: 'operator' | 'resourceUploader', number: number) =>
  parts().begin(memberOf(role), ref, partOf(number), 5 * MIB);
const states = () => server.context.db.selectFrom('uploads').select(['part', 'state']).orderBy('part').execute();

/** Parts that were not used for a day. */
async function unused(...numbers: number[]): Promise<void> {
  for (const number of numbers) {
    await begin('operator', number);
    server.clock.advance(1);
  }
  server.clock.advance(25 * HOUR);
}

/** The first removal of this object waits until it is let go. */
function held(object: string): { readonly reached: Promise<void>; readonly letGo: () => void } {
  let reach = (): void => {};
  let letGo = (): void => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const gone = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let first = true;
  bucket.before = async (asked) => {
    if (asked !== object || !first) return;
    first = false;
    reach();
    await gone;
  };
  onTestFinished(letGo);
  return { reached, letGo };
}

describe('an account', () => {
  it('sends 64 parts at once, and goes on with each of them', async () => {
    for (let number = 0; number < 64; number++) await begin('operator', number);
    await expect(begin('operator', 64)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(await states()).toHaveLength(64);
    const again = await begin('operator', 7);
    expect(again.kind).toBe('pieces');
    expect((await begin('resourceUploader', 64)).kind).toBe('pieces');
    if (again.kind === 'pieces') await parts().abort(memberOf('operator'), again.upload, async () => undefined);
    expect((await begin('operator', 65)).kind).toBe('pieces');
  });

  it('is not let through by asking often at the same time', async () => {
    for (let number = 0; number < 60; number++) await begin('operator', number);
    const asked = await Promise.allSettled(Array.from({ length: 12 }, (_, n) => begin('operator', 60 + n)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
  });
});

describe('an account that loses its rights while the bucket answers', () => {
  const letIn = (role: 'operator' | 'validator'): Member => ({
    account: { ...server.accounts[role], role },
    rights: { epoch: 0, access: 'models.publish' },
    address: '',
    request: '',
  });
  const set = (role: 'operator' | 'validator', values: { disabled?: number; role?: Role }) =>
    server.context.db.updateTable('users').set(values).where('id', '=', server.accounts[role].id).execute();
  /** Until the test ends. */
  const lose = async (role: 'operator' | 'validator', values: { disabled?: number; role?: Role }) => {
    await set(role, values);
    onTestFinished(async () => {
      await set(role, { disabled: 0, role });
    });
  };

  it('begins no upload', async () => {
    bucket.size = async () => {
      await lose('operator', { disabled: 1 });
      return undefined;
    };
    const beginning = parts().begin(letIn('operator'), ref, partOf(1), 5 * MIB);
    await expect(beginning).rejects.toMatchObject({ code: 'NOT_AUTHENTICATED' });
    expect(await states()).toEqual([]);
  });

  it('completes none, neither an own one nor by a former role', async () => {
    for (const [role, values, code] of [
      ['operator', { disabled: 1 }, 'NOT_AUTHENTICATED'],
      // An operator, who was a validator, continues own uploads alone.
      ['validator', { role: 'operator' }, 'NOT_AUTHORISED'],
    ] as const) {
      const begun = await begin('operator', 1);
      const whole = Object.assign(new EmptyBucket(), {
        pieces: async () => [{ number: 1, size: 5 * MIB }],
        complete: async () => {
          await lose(role, values);
          return true;
        },
      });
      const replica = new S3Parts(server.context, whole as unknown as Bucket, 5 * MIB);
      const record = vi.fn();
      const upload = begun.kind === 'pieces' ? begun.upload : '';
      await expect(replica.complete(letIn(role), upload, record)).rejects.toMatchObject({ code });
      expect(await states()).toEqual([{ part: partOf(1), state: 'open' }]);
      expect(record).not.toHaveBeenCalled();
      await set(role, { disabled: 0, role });
    }
  });

  it('is given no addresses, and gives nothing up', async () => {
    const begun = await begin('operator', 1);
    const upload = begun.kind === 'pieces' ? begun.upload : '';
    await lose('operator', { disabled: 1 });
    await expect(parts().pieceUrls(letIn('operator'), upload, [1])).rejects.toMatchObject({ code: 'NOT_AUTHENTICATED' });
    const giving = parts().abort(letIn('operator'), upload, async () => undefined);
    await expect(giving).rejects.toMatchObject({ code: 'NOT_AUTHENTICATED' });
    expect(await states()).toEqual([{ part: partOf(1), state: 'open' }]);
  });
});

describe('of several replicas', () => {
  it('one removes a part; what it was told before, another one does not remove later', async () => {
    await unused(1);
    const { reached, letGo } = held(partOf(1));
    const collecting = parts().collect();
    await reached;
    expect(await parts().collect()).toEqual([]);
    expect(bucket.removed).toEqual([]);
    letGo();
    expect(await collecting).toEqual([`big/${partOf(1)}`]);
    expect(bucket.removed).toEqual([partOf(1), `${partOf(1)}.tree`]);
    expect(await states()).toEqual([]);
  });

  it('none removes what another one removes at the same time', async () => {
    const numbers = Array.from({ length: 12 }, (_, number) => number);
    await unused(...numbers);
    const removed = (await Promise.all([parts().collect(), parts().collect(), parts().collect()])).flat();
    expect(removed.sort()).toEqual(numbers.map((number) => `big/${partOf(number)}`));
    expect(bucket.removed).toHaveLength(2 * numbers.length);
  });

  it('each claims the next part when it is done with one, so that no list grows old', async () => {
    await unused(1, 2);
    const { reached, letGo } = held(partOf(1));
    const one = parts().collect();
    await reached;
    expect(await parts().collect()).toEqual([`big/${partOf(2)}`]);
    // The same name again, while the first replica still has the other one to do.
    await begin('operator', 2);
    letGo();
    expect(await one).toEqual([`big/${partOf(1)}`]);
    expect(bucket.removed.filter((object) => object === partOf(2))).toHaveLength(1);
    expect(await states()).toEqual([{ part: partOf(2), state: 'open' }]);
  });

  it('another one ends, an hour later, what one began that was killed', async () => {
    await unused(1);
    await server.context.db.updateTable('uploads').set({ state: 'removing', touched: server.clock.now }).execute();
    server.clock.advance(HOUR);
    expect(await parts().collect()).toEqual([]);
    server.clock.advance(1);
    expect(await parts().collect()).toEqual([`big/${partOf(1)}`]);
  });
});

describe('collecting', () => {
  it('takes an upload that only another account has asked for since', async () => {
    await begin('operator', 1);
    server.clock.advance(24 * HOUR);
    await expect(begin('resourceUploader', 1)).rejects.toMatchObject({ code: 'NOT_AUTHORISED' });
    server.clock.advance(1);
    expect(await parts().collect()).toEqual([`big/${partOf(1)}`]);
  });

  it('goes on where the bucket does not part with one object, and tries that again later', async () => {
    await unused(1, 2, 3);
    bucket.open = [
      { object: partOf(4), id: 'stubborn', begun: 0 },
      { object: partOf(5), id: 'untold', begun: 0 },
    ];
    const abort = bucket.abort.bind(bucket);
    const refused = new ModelGuardError('IO_FAILED', 'The storage refuses');
    bucket.abort = async (object, id) => {
      if (id === 'stubborn') throw refused;
      await abort(object, id);
    };
    bucket.before = (object) => {
      if (object === partOf(1)) throw refused;
    };
    expect(await parts().collect()).toEqual([`big/${partOf(2)}`, `big/${partOf(3)}`]);
    expect(bucket.aborted).toContain('untold');
    expect(await states()).toEqual([{ part: partOf(1), state: 'removing' }]);
    expect(server.logged.filter(({ part }) => part === partOf(1) || part === partOf(4))).toHaveLength(2);
    bucket.before = () => undefined;
    server.clock.advance(HOUR + 1);
    expect(await parts().collect()).toEqual([`big/${partOf(1)}`]);
  });

  it('ends with the part that it is at, where the server is told to stop', async () => {
    await unused(1, 2);
    bucket.open = [{ object: partOf(4), id: 'untold', begun: 0 }];
    const { reached, letGo } = held(partOf(1));
    const stop = startCollection({ ...server.context, parts: parts() });
    await reached;
    const stopped = stop();
    letGo();
    await stopped;
    expect(bucket.removed).toEqual([partOf(1), `${partOf(1)}.tree`]);
    expect(bucket.aborted).not.toContain('untold');
    expect(await states()).toEqual([{ part: partOf(2), state: 'open' }]);
  });
});
