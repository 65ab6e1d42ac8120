/** Networks that an account has logged in from, and the line in which all other networks wait while an account is being guessed at. */
import type { Words } from '../words.js';

/** The statements in a database's own words. Networks are HMACs, as in `login_failures`. */
export const knownNetworks = ({ number, bytes, table }: Words): readonly string[] => {
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

    // An empty site: where the line of the address ends.
    `CREATE TABLE login_turns (
      ${hmac('email_index')},
      site ${bytes} NOT NULL CHECK (length(site) IN (0, 32)),
      ${time('turn')},
      used ${number} NOT NULL DEFAULT 0 CHECK (used IN (0, 1)),
      PRIMARY KEY (email_index, site)
    ) ${table}`,
    'CREATE INDEX login_turns_turn ON login_turns (turn)',

    // Failures from everywhere were counted here; the line counts them now.
    'DELETE FROM login_failures WHERE length(network) = 0',
  ];
};
