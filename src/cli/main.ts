/** The `model-guard` command. Words, flags and exit codes are a contract: scripts are written against them. */
import { run } from './program.js';

process.exitCode = await run(process.argv.slice(2));
