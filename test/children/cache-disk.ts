/** Loads by way of a cache whose disk is full or read-only, and prints what came of each attempt and what was left. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { CiphertextCache } from '../../src/cache/cache.js';
import { load, MasterKey, protect } from '../../src/index.js';
import { keyOf, put } from '../support/cached-parts.js';
import { remoteStore } from '../support/remote-store.js';
import { argument, tell } from './dialogue.js';

const [folder, source] = [argument(0), argument(1)];
const warnings: string[] = [];
process.emitWarning = (text: string | Error) => void warnings.push(String(text));
const report = (what: string, outcome: unknown): void => {
  const left = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()).length;
  tell(`${what}: ${outcome}, ${left} left, ${warnings.splice(0).length} warnings`);
};

const key = MasterKey.generate();
const from = remoteStore();
await protect(source, { name: 'net', version: '1', recipients: [key], to: from });
const model = await load('net@1', { from, identities: [key], unsigned: 'accept', cache: { folder: path.join(folder, 'cache') } });
report('load', model.bytes.length);

// A disk that looks as if it had room, until it has none.
const room = { free: 2 ** 50, total: 2 ** 50 };
const cache = new CiphertextCache({ folder: path.join(folder, 'other'), maxBytes: 2 ** 40, disk: async () => room });
const part = keyOf(1, 3_000_000);
report('put', await put(cache, part));
