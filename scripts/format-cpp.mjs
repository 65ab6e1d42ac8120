// Checks the layout of the C++ files by .clang-format, or changes it.  node scripts/format-cpp.mjs [--write] [FOLDER]
// Versions of clang-format differ in their output: 14 counts, as `apt-get install clang-format-14` gives it.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

const write = process.argv.includes('--write');
const root = process.argv.slice(2).find((word) => !word.startsWith('--')) ?? '.';
const PROGRAMS = ['clang-format-14', 'clang-format'];

const program = PROGRAMS.find((name) => spawnSync(name, ['--version'], { encoding: 'utf8' }).stdout?.includes('version 14.'));
if (!program) {
  console.error('clang-format 14 is missing, so the layout of the C++ files cannot be checked: apt-get install clang-format-14');
  process.exit(1);
}
const files = readdirSync(path.join(root, 'native'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(cc|h)$/.test(entry.name))
  .map((entry) => path.join(entry.parentPath, entry.name))
  .filter((file) => !file.includes(`${path.sep}build${path.sep}`));
const { status } = spawnSync(program, [...(write ? ['-i'] : ['--dry-run', '-Werror']), ...files], { stdio: 'inherit' });
process.exit(status ?? 1);
