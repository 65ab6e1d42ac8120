// Writes the list of the files of kinds/ as a C++ include, for table.cc. Every build runs it.
//   node native/core/recipients/list-kinds.mjs OUT
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const [, , out] = process.argv;
const files = readdirSync(new URL('kinds/', import.meta.url)).filter((name) => name.endsWith('.h'));
const names = files.map((file) => file.slice(0, -'.h'.length)).sort();
const classOf = (name) => name.replace(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase());
const text = `// Made by native/core/recipients/list-kinds.mjs for this build.
${names.map((name) => `#include "recipients/kinds/${name}.h"\n`).join('')}
namespace mg::recipients {
using AllKinds = std::tuple<${names.map(classOf).join(', ')}>;
}
`;
mkdirSync(path.dirname(out), { recursive: true });
let previous;
try {
  previous = readFileSync(out, 'utf8');
} catch {}
// An unchanged file keeps its time, so that nothing is compiled anew.
if (previous !== text) writeFileSync(out, text);
