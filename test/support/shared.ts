/** Third-party vectors and models that lie outside the project. Tests that need them skip, visibly, where they are absent. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { print } from './print.js';

export const projectRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** The folder of shared test data (MG_SHARED, else `../shared`), or undefined. */
export function sharedPath(...below: readonly string[]): string | undefined {
  const folder = path.join(process.env.MG_SHARED ?? path.join(projectRoot, '../shared'), ...below);
  return existsSync(folder) ? folder : undefined;
}

interface Skippable {
  skip(note?: string): never;
}

/** What is missing is said on the terminal, and the test counts as skipped, not as passed. */
export function skipTest(context: Skippable, why: string): never {
  print(`SKIPPED: ${why}`);
  return context.skip(why);
}

export function needShared(context: Skippable, ...below: readonly string[]): string {
  return (
    sharedPath(...below) ?? skipTest(context, `shared test data (${below.join('/')}) are absent; MG_SHARED names their folder`)
  );
}

export function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}
