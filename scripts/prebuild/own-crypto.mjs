// Sets node-gyp's environment so that it compiles over the libraries of scripts/crypto/build.sh.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The clone's folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The names of each processor: Node's, and the GNU tools'. */
export const MACHINES = { x64: 'x86_64', arm64: 'aarch64' };

/** Prefix of the GNU tools for a processor; empty for this machine's own. */
export const toolPrefix = (arch) => (arch === process.arch ? '' : `${MACHINES[arch]}-linux-gnu-`);

/** The folder of the libraries for a processor, and the environment of node-gyp. */
export function ownCrypto(arch) {
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
