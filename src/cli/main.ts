/** The `model-guard` command. Words, flags and exit codes are a contract: scripts are written against them. */
import { run } from './program.js';

// Remarks that no one reads any more are no failure.
process.stderr.on('error', () => undefined);

// libtss2 writes its own errors to stderr, beside ours; at its most talkative it may write secrets.
process.env.TSS2_LOG = 'all+none';

process.exitCode = await run(process.argv.slice(2));
