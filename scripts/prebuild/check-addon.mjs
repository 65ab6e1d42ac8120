// Checks, with binutils, which names a prebuilt addon exports, and which libraries and functions it needs.
import { execFileSync } from 'node:child_process';

/** The functions that Node looks for when it loads an addon. */
const ENTRIES = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
/** Prefixes of OpenSSL's own functions: all of them stay inside. */
const OPENSSL = /^(EVP|OSSL|OPENSSL|CRYPTO|RAND|ERR|BIO|BN|EC|RSA|ASN1|X509|PEM|ENGINE)_/;
/** The libraries that every system with that glibc has. */
const SYSTEM = /^(libc|libm|libdl|libpthread|librt|ld-linux-x86-64|ld-linux-aarch64)\.so\.\d+$/;

const byNumber = (a, b) => a.localeCompare(b, 'en', { numeric: true });

/**
 * @param tool names a tool of binutils for the addon's processor
 * @param glibc the newest version that may be needed, such as "2.31"; any, where it is left out
 * @returns sentences about what is wrong, and the version of glibc that the addon needs
 */
export function checkAddon(file, { tool = (name) => name, glibc } = {}) {
  const run = (name, ...args) => execFileSync(tool(name), [...args, file], { encoding: 'utf8' });
  const symbols = run('nm', '-D')
    .split('\n')
    .map((line) => /^\S* +([A-Za-z]) (\S+)$/.exec(line))
    .filter(Boolean)
    .map(([, kind, name]) => ({ kind, name }));
  const dynamic = run('readelf', '-d');
  const problems = [];

  const shown = symbols.filter(({ kind }) => !'Uw'.includes(kind)).map(({ name }) => name.replace(/@.*/, ''));
  if (shown.sort().join() !== ENTRIES.join()) problems.push(`it exports ${shown.join(', ')} in place of ${ENTRIES.join(', ')}`);
  const foreign = symbols.filter(({ name }) => OPENSSL.test(name)).map(({ name }) => name);
  if (foreign.length > 0) problems.push(`it asks the program for OpenSSL's ${foreign.join(', ')}`);
  const needed = [...dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name);
  const unusual = needed.filter((name) => !SYSTEM.test(name));
  if (unusual.length > 0) problems.push(`it needs ${unusual.join(', ')}`);
  if (/\((RPATH|RUNPATH)\)/.test(dynamic)) problems.push('it says where libraries lie (RPATH)');

  const versions = symbols.map(({ name }) => /@GLIBC_([\d.]+)$/.exec(name)?.[1]).filter(Boolean);
  const newestGlibc = versions.sort(byNumber).at(-1);
  if (glibc !== undefined && byNumber(newestGlibc, glibc) > 0) {
    const newer = symbols.filter(({ name }) => byNumber(/@GLIBC_([\d.]+)$/.exec(name)?.[1] ?? '0', glibc) > 0);
    problems.push(`it needs glibc ${newestGlibc}, newer than ${glibc}: ${newer.map(({ name }) => name).join(', ')}`);
  }
  return { problems, newestGlibc };
}
