// Compares builds of the prebuilds that were made apart from each other, byte for byte, and puts the first into prebuilds/.
//   node scripts/release/compare-builds.mjs FOLDER     with FOLDER/TARGET-1/, FOLDER/TARGET-2/ for each target
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const [folder, out = fileURLToPath(new URL('../../prebuilds', import.meta.url))] = process.argv.slice(2);

/** Names and digests of the files of a build, as one text. */
function digests(build) {
  const files = readdirSync(build, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => `${createHash('sha256').update(readFileSync(file)).digest('hex')}  ${path.relative(build, file)}`)
    .sort()
    .join('\n');
}

const targets = [...new Set(readdirSync(folder).map((name) => name.replace(/-[12]$/, '')))].sort();
const different = targets.length === 0 ? ['there are no builds'] : [];
for (const target of targets) {
  const [first, second] = [1, 2].map((number) => digests(path.join(folder, `${target}-${number}`)));
  if (!/\.node$/m.test(first)) different.push(`${target} has no addon`);
  if (first === second) console.log(`${target}: two builds are the same\n${first}`);
  else different.push(`${target}: two builds differ\n${first}\n--\n${second}`);
}
if (different.length > 0) {
  console.error(different.join('\n'));
  process.exit(1);
}
for (const target of targets) cpSync(path.join(folder, `${target}-1`), path.join(out, target), { recursive: true });
