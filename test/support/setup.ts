/** Runs before each test file, so that its hook is the first one, which runs last: the file's own hooks may use what is cleaned up. */
import { afterAll } from 'vitest';
import { cleanUp } from './cleanup.js';

afterAll(cleanUp);
