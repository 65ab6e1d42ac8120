/** The blocks of README.md and server/README.md, and a folder to run them in. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from './shared.js';

export interface Block {
  readonly language: string;
  readonly text: string;
}
/** Those of list items, too, without their indentation. */
const blocksOf = (file: string): readonly Block[] =>
  [...readFileSync(path.join(projectRoot, file), 'utf8').matchAll(/^( *)```(\w+)\n(.*?)^\1```$/gms)].map(
    ([, indentation = '', language = '', text = '']) => ({
      language,
      text: text.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''),
    }),
  );
export const readme = blocksOf('README.md');
export const serverReadme = blocksOf('server/README.md');

/** The one block of its file with these words in it. */
export function blockWith(blocks: readonly Block[], words: string): string {
  const found = blocks.filter(({ text }) => text.includes(words));
  if (found.length !== 1) throw new Error(`${found.length} blocks have ${words}`);
  return (found[0] as Block).text;
}

/** A new folder below `base` that holds what a clone does after `npm ci`, as far as the blocks use it. */
export function clone(base: string): string {
  const folder = mkdtempSync(path.join(base, 'clone-'));
  const [modules, linked] = [path.join(projectRoot, 'node_modules'), path.join(folder, 'node_modules')];
  // npx finds commands below a folder, not below a link.
  mkdirSync(linked);
  for (const name of readdirSync(modules)) symlinkSync(path.join(modules, name), path.join(linked, name));
  for (const name of ['dist', 'examples', 'server']) symlinkSync(path.join(projectRoot, name), path.join(folder, name));
  for (const name of ['.npmrc', 'package.json']) copyFileSync(path.join(projectRoot, name), path.join(folder, name));
  return folder;
}
