// Ends a script of this clone with one line where packages are not installed: before `npm ci`, or after a pull that added some.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { dependencies, devDependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
const missing = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !existsSync(`${root}node_modules/${name}`));
if (missing.length > 0) {
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : '';
  console.error(`Not installed: ${missing.slice(0, 3).join(', ')}${more}. Run \`npm ci\` in ${root} first.`);
  process.exit(1);
}
