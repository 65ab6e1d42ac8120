// Lists what the two packages bring to a user, as a CycloneDX document: npm packages that are installed, those that dist/ contains, and the
// libraries inside the prebuilt addon. One commit gives one document: it has no time and no serial number.
//   npm run sbom [-- FILE]     writes sbom.cdx.json, or FILE
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { staticParts } from './static-parts.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file) => readFileSync(path.join(root, file), 'utf8');
const DEVELOPMENT = 'cdx:npm:package:development';

/** Names and versions of the packages that the build has put into dist/. */
function bundledPackages() {
  if (!existsSync(path.join(root, 'dist/THIRD-PARTY-LICENSES')))
    throw new Error('There is no dist/. Run `npm run build:ts` first.');
  return new Set(
    [...read('dist/THIRD-PARTY-LICENSES').matchAll(/^(\S+) (\d\S*) \(.+\)$/gm)].map(([, name, version]) => `${name}@${version}`),
  );
}

/** The packages of the lock file as cyclonedx-npm describes them; those of development are among them in spite of --omit. */
function describeLock() {
  const tool = path.join(root, 'node_modules/@cyclonedx/cyclonedx-npm/bin/cyclonedx-npm-cli.js');
  const options = [
    '--package-lock-only',
    '--flatten-components',
    '--output-reproducible',
    '--spec-version',
    '1.6',
    '--mc-type',
    'library',
  ];
  const output = execFileSync(process.execPath, [tool, ...options, '--omit', 'dev', '--no-validate', '--output-file', '-'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output);
}

const nameOf = ({ group, name }) => (group === undefined ? name : `${group}/${name}`);
const propertyOf = ({ properties = [] }, name) => properties.find((property) => property.name === name)?.value;

export function makeSbom() {
  const document = describeLock();
  const main = document.metadata.component;
  const bundled = bundledPackages();
  const { packages } = JSON.parse(read('package-lock.json'));

  // cyclonedx-npm takes what an optional dependency shares with development for development's alone; the lock file does not.
  const locked = (component) => packages[propertyOf(component, 'cdx:npm:package:path')];
  const isBundled = (component) => bundled.has(`${nameOf(component)}@${component.version}`);
  // node_modules/ may have a package that dist/ contains several times.
  const isFirst = (component, index) => document.components.findIndex(({ purl }) => purl === component.purl) === index;
  // The root is linked into its own workspace: that component is the main one again.
  const isMain = (component) => component.purl === main.purl;
  const shipped = document.components.filter(
    (component, index) => !isMain(component) && (!locked(component)?.dev || (isBundled(component) && isFirst(component, index))),
  );
  for (const component of shipped) {
    component.properties = component.properties.filter(({ name }) => name !== DEVELOPMENT);
    const [algorithm, digest] = (locked(component)?.integrity ?? '').split('-');
    if (algorithm === 'sha512') component.hashes = [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }];
  }

  const parts = staticParts();
  const mainRefs = new Set(document.components.filter(isMain).map((component) => component['bom-ref']));
  const refs = new Set([main, ...shipped, ...parts].map((component) => component['bom-ref']));
  const resolve = (ref) => (mainRefs.has(ref) ? main['bom-ref'] : ref);
  const inside = [...shipped.filter(isBundled), ...parts].map((component) => component['bom-ref']);
  const dependencies = document.dependencies
    .filter(({ ref }) => refs.has(ref))
    .map(({ ref, dependsOn = [] }) => {
      const all = ref === main['bom-ref'] ? [...dependsOn, ...inside] : dependsOn;
      return { ref, dependsOn: [...new Set(all.map(resolve))].filter((one) => refs.has(one) && one !== ref).sort() };
    });
  return {
    ...document,
    components: [...shipped, ...parts],
    dependencies: [...dependencies, ...parts.map((part) => ({ ref: part['bom-ref'] }))],
  };
}

/** Resolves to the schema's objection, or to null. */
export const validate = (document) => new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(JSON.stringify(document));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = path.resolve(process.argv[2] ?? path.join(root, 'sbom.cdx.json'));
  const document = makeSbom();
  const objection = await validate(document);
  if (objection !== null) {
    console.error(`The SBOM is not valid CycloneDX: ${JSON.stringify(objection, undefined, 2)}`);
    process.exit(1);
  }
  writeFileSync(file, `${JSON.stringify(document, undefined, 1)}\n`);
  console.log(`ok: ${path.relative('.', file)}, ${document.components.length} components`);
}
