import { call } from './native/index.js';
import { packageVersion } from './native/package-root.js';

/** The result of `versions`. */
export interface Versions {
  /** Of this package. Absent inside a bundle. */
  readonly modelGuard?: string | undefined;
  /**
   * The library that does the cryptography. `own`: a copy inside the prebuilt addon, whatever the program brings; an update of this package
   * updates it. `runtime`: that of the Node which runs the program, where the addon was compiled on this machine.
   */
  readonly openssl: { readonly version: string; readonly from: 'own' | 'runtime' };
  /**
   * What hashes the chunks of a model on this processor: OpenSSL, or the code for many digests at once that prebuilt addons for x64 have for
   * processors with AVX-512, SHA-NI or AVX2.
   */
  readonly sha256: 'OpenSSL' | 'AVX-512' | 'SHA-NI' | 'AVX2';
  /** The runtime that runs the program. */
  readonly runtime: { readonly name: 'node' | 'bun' | 'deno'; readonly version: string };
  /** System and processor, such as `linux-x64`. */
  readonly platform: string;
}

/**
 * Tells the versions of this installation's parts, for a report of a fault and for an inventory.
 * @throws NATIVE_UNAVAILABLE, NATIVE_UNTRUSTED
 * @example
 * const { openssl } = versions();
 * console.log(`OpenSSL ${openssl.version} (${openssl.from})`);
 */
export function versions(): Versions {
  const {
    openssl: { version, own },
    sha256Engine,
  } = call((native) => native);
  const modelGuard = packageVersion();
  return {
    ...(modelGuard !== undefined && { modelGuard }),
    openssl: { version, from: own ? 'own' : 'runtime' },
    sha256: sha256Engine,
    runtime: runtime(process.versions),
    platform: `${process.platform}-${process.arch}`,
  };
}

/** Bun and Deno say that they are a Node, and name themselves beside it. */
function runtime({ bun, deno, node }: Readonly<Record<string, string | undefined>>): Versions['runtime'] {
  if (bun !== undefined) return { name: 'bun', version: bun };
  if (deno !== undefined) return { name: 'deno', version: deno };
  return { name: 'node', version: node ?? '' };
}
