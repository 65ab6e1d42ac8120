/** The guard server as a library. */

export type { Config, TlsFiles } from './base/config.js';
export type { PartsContext as Context } from './parts/parts.js';
export { configure, type Settings } from './start/config.js';
export { type OpenServer, openServer, type RunningServer, type ServerParts, startServer } from './start/server.js';
