/**
 * Tests depend on nothing that the user's environment says: the cache is a folder of this run, removed at its end, and no proxy stands
 * before the servers on loopback.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

export default function setup(): () => void {
  const folder = mkdtempSync(path.join(process.env.MG_TMP ?? tmpdir(), 'model-guard-cache-'));
  process.env.XDG_CACHE_HOME = folder;
  for (const name of PROXIES) {
    delete process.env[name];
    delete process.env[name.toLowerCase()];
  }
  return () => rmSync(folder, { recursive: true, force: true });
}
