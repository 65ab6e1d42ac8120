/** Runs the `model-guard` command. Its words, flags and exit codes are a contract: scripts depend on them. */
import { run } from './program.js';

// A closed stderr is no failure.
process.stderr.on('error', () => undefined);

// libtss2 writes its own errors to stderr, beside ours; at its most talkative it may write secrets.
process.env.TSS2_LOG = 'all+none';

process.exitCode = await run(process.argv.slice(2));
