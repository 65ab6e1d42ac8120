import type { IncomingMessage } from 'node:http';
import { ModelGuardError } from '@org/model-guard/server-kit';

const WINDOW_MS = 30_000;

/**
 * Ends a request whose body brings fewer than `least` bytes in a window of 30 seconds, so that a client cannot hold a connection
 * with a byte a minute. Time in which the server does not read does not count.
 */
export function demandBodyRate(request: IncomingMessage, least: number): void {
  const { socket } = request;
  let timer: NodeJS.Timeout | undefined;
  let before = 0;
  let paused = false;
  const watch = (): void => {
    clearTimeout(timer);
    before = socket.bytesRead;
    paused = false;
    timer = setTimeout(check, WINDOW_MS).unref();
  };
  const check = (): void => {
    const waits = paused || request.readableFlowing !== true;
    if (waits || socket.bytesRead - before >= least) watch();
    else request.destroy(new ModelGuardError('INVALID_ARGUMENT', 'The body did not come in time'));
  };
  request.once('resume', watch).on('pause', () => {
    paused = true;
  });
  for (const event of ['end', 'close'] as const) request.once(event, () => clearTimeout(timer));
  watch();
}
