/** The `model-guard` command. Words, flags and exit codes are a contract: scripts are written against them. */
import { run } from './program.js';

// A reader that has seen enough closes the pipe; whoever writes data learns of it from the write itself.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// libtss2 writes its own errors to stderr, beside ours; at its most talkative it may write secrets.
process.env.TSS2_LOG = 'all+none';

process.exitCode = await run(process.argv.slice(2));
