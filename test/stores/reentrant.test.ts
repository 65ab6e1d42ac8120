/** Stores whose reads need the addon themselves: if these hang, such a store takes every engine thread and waits for one. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { decrypt, encrypt, load, MasterKey, memoryStore, type PartStore, protect } from '../../src/index.js';
import { temporaryFolder } from '../support/temp.js';

describe('a store that uses the addon while it is read', () => {
  it('serves more loads at once than there are engine threads', async () => {
    const key = MasterKey.generate();
    const folder = temporaryFolder();
    const source = path.join(folder, 'model.bin');
    writeFileSync(source, new Uint8Array(300_000).fill(7));
    const inner = memoryStore();
    await protect(source, { name: 'm', version: '1', recipients: [key], to: inner });
    const other = await decrypt(await encrypt(new Uint8Array(64), { recipients: [key] }), {
      identities: [key],
      unsigned: 'accept',
    });
    const store: PartStore = {
      getSmall: inner.getSmall.bind(inner),
      putSmall: inner.putSmall.bind(inner),
      putBig: inner.putBig.bind(inner),
      list: inner.list.bind(inner),
      collect: inner.collect.bind(inner),
      openBig: async (...args) => {
        const { file: _, ...part } = await inner.openBig(...args);
        return {
          ...part,
          read: async (...range) => {
            await other.read(0, 16);
            return part.read(...range);
          },
        };
      },
    };
    const loads = Array.from({ length: 16 }, () => load('m@1', { from: store, identities: [key], unsigned: 'accept' }));
    for (const model of await Promise.all(loads)) {
      expect(model.bytes.every((byte) => byte === 7)).toBe(true);
      model.dispose();
    }
    other.dispose();
  });
});
