// Fails where a tag is not the version of both packages, or CHANGELOG.md has no section for it; prints that section for the release's page.
//   node scripts/release/check-tag.mjs v1.2.3 [FILE]     FILE gets the section
import { readFileSync, writeFileSync } from 'node:fs';

const [tag = '', file] = process.argv.slice(2);
const read = (name) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

/** The text under the heading of a version, or undefined. */
function sectionOf(changelog, version) {
  const sections = changelog.split(/^## /m).slice(1);
  const section = sections.find((text) => text === version || text.startsWith(`${version}\n`) || text.startsWith(`${version} `));
  return section?.slice(section.indexOf('\n')).trim();
}

const problems = ['package.json', 'server/package.json']
  .map((name) => [name, JSON.parse(read(name)).version])
  .filter(([, version]) => tag !== `v${version}`)
  .map(([name, version]) => `${name} has the version ${version}`);
const section = sectionOf(read('CHANGELOG.md'), tag.slice(1));
if (!section) problems.push('CHANGELOG.md has no section for it');
if (problems.length > 0) {
  console.error(`The tag ${tag} does not fit: ${problems.join('; ')}.`);
  process.exit(1);
}
if (file === undefined) console.log(section);
else writeFileSync(file, `${section}\n`);
