/**
 * The list of what a release contains, and the licences in it. If these fail, the SBOM leaves out what users get, names what they do not get, or is no
 * CycloneDX; or a package with a licence that the project cannot take goes unnoticed.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error: a script without types
import { checkLicences } from '../../../scripts/supply/licences.mjs';
// @ts-expect-error: a script without types
import { makeSbom, validate } from '../../../scripts/supply/sbom.mjs';
import { projectRoot } from '../../support/shared.js';

interface Component {
  readonly type: string;
  readonly group?: string;
  readonly name: string;
  readonly version?: string;
  readonly 'bom-ref': string;
  readonly purl?: string;
  readonly cpe?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly unknown[];
}
interface Sbom {
  readonly serialNumber?: string;
  readonly metadata: { readonly timestamp?: string; readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}

const read = (file: string): string => readFileSync(path.join(projectRoot, file), 'utf8');
const fullName = ({ group, name }: Component): string => (group === undefined ? name : `${group}/${name}`);
const hex64 = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');

let sbom: Sbom;
beforeAll(() => {
  sbom = makeSbom();
});

describe('the SBOM', () => {
  const lock = JSON.parse(read('package-lock.json')).packages as Record<
    string,
    { readonly dev?: boolean; readonly link?: boolean; readonly integrity?: string }
  >;
  const nameInLock = (place: string): string => place.replace(/^.*node_modules\//, '');
  const find = (name: string): Component | undefined => sbom.components.find((component) => fullName(component) === name);

  it('is valid, and has nothing of the clock or of chance in it', async () => {
    expect(await validate(sbom)).toBeNull();
    expect([sbom.serialNumber, sbom.metadata.timestamp]).toEqual([undefined, undefined]);
  });

  it('is refused where a component is broken', async () => {
    const broken = structuredClone(sbom) as unknown as { components: { type: string }[] };
    broken.components[0]!.type = 'nonsense';
    expect(await validate(broken)).not.toBeNull();
  });

  it.each([
    ['openssl', 'OPENSSL', 'pkg:generic/openssl@', 'cpe:2.3:a:openssl:openssl:VERSION:*:*:*:*:*:*:*'],
    ['intel-ipsec-mb', 'IPSEC_MB', 'pkg:github/intel/intel-ipsec-mb@v', undefined],
  ])('names the %s of scripts/crypto/source.sh, so that a scanner finds its advisories', (name, variable, purl, cpe) => {
    const source = read('scripts/crypto/source.sh');
    const [, version] = new RegExp(`^${variable}_VERSION=(.+)$`, 'm').exec(source) ?? [];
    const [, digest] = new RegExp(`^${variable}_SHA256=(.+)$`, 'm').exec(source) ?? [];
    const found = find(name);
    expect(found).toMatchObject({ version, hashes: [{ alg: 'SHA-256', content: digest }] });
    expect(found?.cpe).toBe(cpe?.replace('VERSION', version!));
    expect(found?.purl).toMatch(`${purl}${version}?checksum=sha256:${digest}&download_url=http`);
  });

  it('has every package that users install, with its digest in the lock file', () => {
    for (const [place, { dev, link, integrity }] of Object.entries(lock)) {
      if (dev || link || !place.includes('node_modules/')) continue;
      const digest = hex64(integrity!.slice('sha512-'.length));
      const found = sbom.components.some(
        (component) => fullName(component) === nameInLock(place) && component.hashes?.[0]?.content === digest,
      );
      expect(found, place).toBe(true);
    }
    for (const name of ['zod', 'fastify', '@org/model-guard-server']) expect(find(name), name).toBeDefined();
  });

  it('has what dist/ contains once, and no other package of development', () => {
    const contained = new Set([...read('dist/THIRD-PARTY-LICENSES').matchAll(/^(\S+) \d\S* \(/gm)].map(([, name]) => name));
    const users = new Set(
      Object.entries(lock)
        .filter(([, { dev }]) => !dev)
        .map(([place]) => nameInLock(place)),
    );
    const more = sbom.components.map(fullName).filter((name) => !users.has(name));
    expect(contained).toContain('cli-progress');
    expect(more.sort()).toEqual(
      [...[...contained].filter((name) => !users.has(name!)), 'intel-ipsec-mb', 'libstdc++', 'openssl'].sort(),
    );
  });

  it('tells of no dependency that it does not list', () => {
    const refs = new Set([sbom.metadata.component, ...sbom.components].map((component) => component['bom-ref']));
    for (const { ref, dependsOn = [] } of sbom.dependencies) for (const one of [ref, ...dependsOn]) expect(refs).toContain(one);
  });
});

describe('the licences', () => {
  const check = (...licenses: readonly unknown[]): readonly string[] =>
    checkLicences([...sbom.components, { name: 'planted', version: '1.0.0', licenses }]).problems;

  it('of all that users get are allowed', () => {
    const { rows, problems } = checkLicences(sbom.components) as {
      rows: readonly { name: string }[];
      problems: readonly string[];
    };
    expect(problems).toEqual([]);
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['openssl', 'intel-ipsec-mb', 'libstdc++', 'zod', 'node-addon-api']),
    );
    expect(rows.map(({ name }) => name)).not.toContain('@org/model-guard-server');
  });

  it('make no exception for another licence under the same name', () => {
    const planted = { name: 'libstdc++', version: '9', licenses: [{ license: { id: 'GPL-3.0-only' } }] };
    expect(checkLicences([planted]).problems).toEqual(['libstdc++ 9: its licence is GPL-3.0-only']);
  });

  it.each([
    ['one that is allowed', [{ license: { id: 'MIT' } }]],
    ['a choice with one that is allowed', [{ expression: '(MIT OR GPL-3.0-only)' }]],
    ['several that are allowed', [{ license: { id: 'MIT' } }, { expression: '(ISC OR GPL-2.0-only)' }]],
  ])('take %s', (_, licenses) => {
    expect(check(...licenses)).toEqual([]);
  });

  it.each([
    ['GPL', [{ license: { id: 'GPL-3.0-only' } }], 'its licence is GPL-3.0-only'],
    ['GPL beside one that is allowed', [{ expression: 'MIT AND GPL-3.0-only' }], 'its licence is MIT AND GPL-3.0-only'],
    ['GPL as the second of two', [{ license: { id: 'MIT' } }, { license: { id: 'GPL-3.0-only' } }], '(MIT) AND (GPL-3.0-only)'],
    ['the exception of another package', [{ expression: 'GPL-3.0-or-later WITH GCC-exception-3.1' }], 'WITH GCC-exception-3.1'],
    ['words that are no licence', [{ license: { name: 'SEE LICENSE IN FILE' } }], 'its licence is SEE LICENSE IN FILE'],
    ['none', [], 'it names no licence'],
  ])('refuse %s', (_, licenses, reason) => {
    expect(check(...licenses)).toEqual([expect.stringMatching(/^planted 1\.0\.0: /)]);
    expect(check(...licenses)[0]).toContain(reason);
  });
});
