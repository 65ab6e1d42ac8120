// How gyp compiles over an OpenSSL that scripts/crypto/build.sh has made.
import path from 'node:path';

/** The names of each processor: Node's, and the GNU tools'. */
export const MACHINES = { x64: 'x86_64', arm64: 'aarch64' };

/** Prefix of the GNU tools for a processor; empty for this machine's own. */
export const toolPrefix = (arch) => (arch === process.arch ? '' : `${MACHINES[arch]}-linux-gnu-`);

/** Of a clone: its OpenSSL for a processor, and the environment of node-gyp there. */
export function ownCrypto(root, arch) {
  const folder = path.join(root, '.openssl', `${process.platform}-${arch}`);
  const { CC = `${toolPrefix(arch)}gcc`, CXX = `${toolPrefix(arch)}g++` } = process.env;
  // These headers have to come before Node's, which hold those of another OpenSSL. No path of this machine is in the binary.
  const flags = `-I${folder}/include -ffile-prefix-map=${root}=`;
  const env = {
    ...process.env,
    CC: `${CC} ${flags}`,
    CXX: `${CXX} ${flags}`,
    MODEL_GUARD_CRYPTO: folder,
    LC_ALL: 'C',
    JOBS: 'max',
  };
  return { folder, env };
}
