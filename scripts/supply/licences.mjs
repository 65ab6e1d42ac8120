// Checks the licence of everything that the two packages bring to a user, and prints or writes the list: the notice of a release.
//   npm run licences [-- FILE]     FILE gets the list as Markdown
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import satisfies from 'spdx-satisfies';
import { makeSbom } from './sbom.mjs';

/** Licences that ask for their text and a notice alone. */
const ALLOWED = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'ISC', 'MIT'];
/** Components that may have another licence: this one. */
const EXCEPTIONS = {
  // GCC's exception lets a program that GCC compiled be shipped under any terms.
  'libstdc++': 'GPL-3.0-or-later WITH GCC-exception-3.1',
};
/** These two packages themselves. */
const OWN = '@org';

/** A component's licence as one SPDX expression: where it has several, all of them count. */
function expressionOf({ licenses = [] }) {
  const each = licenses.map(({ license, expression }) => expression ?? license.id ?? license.name);
  return each.length === 1 ? each[0] : each.map((one) => `(${one})`).join(' AND ');
}

function isAllowed(expression) {
  try {
    return satisfies(expression, ALLOWED);
  } catch {
    return false; // not SPDX
  }
}

/** Takes an SBOM's components. Returns one row for each of another maker's, and a sentence for each licence that is not allowed. */
export function checkLicences(components) {
  const rows = components
    .filter(({ group }) => group !== OWN)
    .map((component) => ({
      name: component.group === undefined ? component.name : `${component.group}/${component.name}`,
      version: component.version ?? '',
      licence: expressionOf(component),
    }))
    .sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));
  const problems = rows
    .filter(({ name, licence }) => EXCEPTIONS[name] !== licence && !isAllowed(licence))
    .map(
      ({ name, version, licence }) =>
        `${name} ${version}: ${licence === '' ? 'it names no licence' : `its licence is ${licence}`}`,
    );
  return { rows, problems };
}

const notice = (rows) => `# Third-party software

Software of other makers that \`@org/model-guard\` and \`@org/model-guard-server\` contain or install. The text of each licence lies in the
package's own folder under \`node_modules\`; of what \`dist/\` contains in \`dist/THIRD-PARTY-LICENSES\`; of the parts of the prebuilt addon
(OpenSSL, libipsec-mb, node-addon-api) beside it in \`prebuilds/\`. libstdc++ and libgcc are in the addon under the GCC Runtime Library Exception.

| | version | licence |
|---|---|---|
${rows.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`).join('\n')}
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { rows, problems } = checkLicences(makeSbom().components);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) {
    console.error(`Allowed are ${ALLOWED.join(', ')}. Choose another package, or add an exception with its reason.`);
    process.exit(1);
  }
  if (process.argv[2] !== undefined) writeFileSync(process.argv[2], notice(rows));
  const counts = new Map();
  for (const { licence } of rows) counts.set(licence, (counts.get(licence) ?? 0) + 1);
  for (const [licence, number] of [...counts].sort()) console.log(`${String(number).padStart(4)}  ${licence}`);
  console.log(`ok: ${rows.length} components have licences that are allowed`);
}
