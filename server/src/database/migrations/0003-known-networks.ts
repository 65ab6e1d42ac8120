/** Networks that an account has logged in from, and the queue of all other networks while an account is being guessed at. */
import type { TableDialect } from '../dialect.js';

/** The statements in a database's dialect. Networks are HMACs, as in `login_failures`. */
export const knownNetworks = ({ number, bytes, table }: TableDialect): readonly string[] => {
  const hmac = (column: string): string => `${column} ${bytes} NOT NULL CHECK (length(${column}) = 32)`;
  const time = (column: string): string => `${column} ${number} NOT NULL CHECK (${column} >= 0)`;
  return [
    `CREATE TABLE known_networks (
      ${hmac('email_index')},
      ${hmac('network')},
      ${time('last_used')},
      PRIMARY KEY (email_index, network)
    ) ${table}`,
    'CREATE INDEX known_networks_last_used ON known_networks (last_used)',

    // An empty site: the row of the queue's end.
    `CREATE TABLE login_turns (
      ${hmac('email_index')},
      site ${bytes} NOT NULL CHECK (length(site) IN (0, 32)),
      ${time('turn')},
      used ${number} NOT NULL DEFAULT 0 CHECK (used IN (0, 1)),
      PRIMARY KEY (email_index, site)
    ) ${table}`,
    'CREATE INDEX login_turns_turn ON login_turns (turn)',

    // Failures of all networks were counted here; the queue counts them now.
    'DELETE FROM login_failures WHERE length(network) = 0',
  ];
};
