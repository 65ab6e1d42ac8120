// Prints the structure of a tree: files in the roots, circles of imports, lines by room, riddles in comments and docs, sizes of files.
//   node scripts/structure.mjs [FOLDER]
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(process.argv[2] ?? '.');
const filesIn = (folder, ending) =>
  readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .filter((file) => !/(^|\/)(build|node_modules)\//.test(file));
const textOf = (file) => readFileSync(path.join(root, file), 'utf8');
const linesOf = (file) => textOf(file).split('\n').length - 1;

/** Files that reach each other by imports, type imports included (Tarjan's strongly connected components). */
function circles(files) {
  const importsOf = (file) =>
    [...textOf(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)\.js'/g)]
      .map(([, target]) => path.join(path.dirname(file), `${target}.ts`))
      .filter((target) => existsSync(path.join(root, target)));
  const [order, low, stack, found] = [new Map(), new Map(), [], []];
  const visit = (file) => {
    order.set(file, order.size);
    low.set(file, order.get(file));
    stack.push(file);
    for (const target of importsOf(file)) {
      if (!order.has(target)) visit(target);
      if (stack.includes(target)) low.set(file, Math.min(low.get(file), low.get(target)));
    }
    if (low.get(file) !== order.get(file)) return;
    const group = stack.splice(stack.indexOf(file));
    if (group.length > 1) found.push(group);
  };
  for (const file of files) if (!order.has(file)) visit(file);
  return found;
}

for (const folder of ['src', 'server/src']) {
  const files = filesIn(folder, /\.ts$/);
  const inRoot = files.filter((file) => path.dirname(file) === folder);
  const groups = circles(files);
  console.log(
    `${folder}: ${inRoot.length} files in the root, ${groups.length} circles${groups.map((group) => ` of ${group.length}`).join(',')}`,
  );
}

for (const [folder, ending] of [
  ['src', /\.ts$/],
  ['server/src', /\.ts$/],
  ['native/core', /\.(cc|h)$/],
]) {
  const rooms = new Map();
  for (const file of filesIn(folder, ending)) {
    const [room, ...rest] = path.relative(folder, file).split('/');
    const name = rest.length === 0 ? '(root)' : room;
    rooms.set(name, (rooms.get(name) ?? 0) + linesOf(file));
  }
  const sorted = [...rooms].sort(([, a], [, b]) => b - a);
  console.log(`${folder}, lines by room: ${sorted.map(([room, lines]) => `${room} ${lines}`).join(', ')}`);
}

for (const folder of ['src', 'server/src', 'native', 'docs']) {
  const files = filesIn(folder, /\.(ts|mjs|cc|h|md)$/);
  const riddles = files.reduce((sum, file) => sum + (textOf(file).match(/\b(whoever|nobody|somebody)\b/gi)?.length ?? 0), 0);
  const sizes = files.map((file) => [linesOf(file), file]).sort(([a], [b]) => a - b);
  const [largest, name] = sizes.at(-1);
  console.log(
    `${folder}: ${riddles} × whoever, nobody, somebody; ${files.length} files, median ${sizes[sizes.length >> 1][0]} lines, largest ${largest} (${name})`,
  );
}
