/** The server's log: one JSON record a line. */
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from '../base/config.js';

/** Fields that are redacted. They are never logged on purpose. */
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
      // Without process and host, which collectors of logs add.
      base: null,
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
      redact,
    },
    destination ?? standardOutput(),
  );

const ignore = (): void => undefined;

/** Writes synchronously to pipes and files, so that the last lines are complete. A closed reader ends the log, not the server. */
function standardOutput(): DestinationStream {
  process.stdout.off('error', ignore).on('error', ignore);
  return { write: (line) => void process.stdout.write(line) };
}
