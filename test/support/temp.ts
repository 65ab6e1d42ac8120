import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { atEndOfFile } from './cleanup.js';

/** A folder of this test file's own, removed when its tests are done. */
export function temporaryFolder(label = 'test', parent = process.env.MG_TMP ?? tmpdir()): string {
  const folder = mkdtempSync(path.join(parent, `model-guard-${label}-`));
  atEndOfFile(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
