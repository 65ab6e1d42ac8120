/**
 * Runs before each test file, so that its hook is the first one, which runs last: the file's own hooks may use what is cleaned up.
 * The server's files share a process: a variable that one sets in a copy of process.env would stay set for those that follow, because
 * vitest removes it from the original. vi.stubEnv is the way.
 */
import { afterAll } from 'vitest';
import { cleanUp } from './cleanup.js';

// A prebuild, whose OpenSSL is its own (npm run test:own-crypto).
const { MG_TEST_ADDON: addon } = process.env;
if (addon !== undefined) (await import('../../src/native/addon.js')).useNativeAddon(addon);

Object.defineProperty(process, 'env', { writable: false });
afterAll(cleanUp);
