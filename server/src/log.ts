/** The server's log: one JSON record a line. */
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from './config.js';

/** Nothing of these is ever logged on purpose; should it happen, this is what is left of it. */
const SECRET = ['authorization', 'password', 'current', 'next', 'token', 'signature', 'small', 'fragment', 'cookie'];
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
    destination ?? pino.destination(1),
  );
