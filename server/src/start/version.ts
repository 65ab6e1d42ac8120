import { createRequire } from 'node:module';

// Resolved by the package's own name, which works from src/ and dist/ alike.
const manifest = createRequire(import.meta.url)('@org/model-guard-server/package.json') as { readonly version: string };

/** The version of this server. */
export const { version } = manifest;
