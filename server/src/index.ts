/** The guard server as a library. */
export { type Config, configure, type Settings, type TlsFiles } from './config.js';
export type { Context } from './context.js';
export { type OpenServer, openServer, type RunningServer, type ServerParts, startServer } from './server.js';
