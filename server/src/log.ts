/** The server's log: one JSON record a line. */
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from './config.js';

/** Nothing of these is ever logged on purpose; should it happen, this is what is left of it. */
const SECRET = [
  'authorization',
  'password',
  'current',
  'next',
  'token',
  'signature',
  'small',
  'fragment',
  'cookie',
  'databaseUrl',
];
const redact = { paths: SECRET.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' };

export const makeLog = ({ logLevel }: Pick<Config, 'logLevel'>, destination?: DestinationStream): Logger =>
  pino(
    {
      level: logLevel,
      // Neither process nor host: whoever collects logs knows where they come from.
      base: null,
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
      redact,
    },
    destination ?? standardOutput(),
  );

const ignore = (): void => undefined;

/** Pipes and files are written synchronously, so the last lines are there. A reader that went away ends the log, not the server. */
function standardOutput(): DestinationStream {
  process.stdout.off('error', ignore).on('error', ignore);
  return { write: (line) => void process.stdout.write(line) };
}
