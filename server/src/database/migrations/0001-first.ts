/** The first tables. Constraints bound the values, so that a fault of the code does not become a fault of the data. */
import { ROLES } from '@org/model-guard/server-kit';
import type { TableDialect } from '../dialect.js';

/** The statements in a database's dialect. */
export function firstTables({ number, bytes, text, table, keyed, passing, isHex }: TableDialect): readonly string[] {
  const hexId = (column: string): string => `CHECK (length(${column}) = 32 AND ${isHex(column)})`;
  const id = (column: string): string => `${column} ${text} NOT NULL ${hexId(column)}`;
  const flag = (column: string): string => `${column} ${number} NOT NULL DEFAULT 0 CHECK (${column} IN (0, 1))`;
  const time = (column: string): string => `${column} ${number} NOT NULL CHECK (${column} >= 0)`;
  const maybeTime = (column: string): string => `${column} ${number} CHECK (${column} >= 0)`;
  const oneOf = (column: string, values: readonly string[]): string =>
    `${column} ${text} NOT NULL CHECK (${column} IN (${values.map((value) => `'${value}'`).join(', ')}))`;

  return [
    `CREATE TABLE meta (key ${text} PRIMARY KEY NOT NULL, value ${text} NOT NULL) ${table}`,

    `CREATE TABLE subjects (
      ${id('id')} PRIMARY KEY,
      wrapped ${bytes} NOT NULL,
      ${oneOf('kind', ['user', 'day'])},
      day ${text} UNIQUE CHECK ((kind = 'day') = (day IS NOT NULL)),
      ${time('created')}
    ) ${table}`,

    // The subject's key is destroyed only together with the account, in either order.
    `CREATE TABLE users (
      ${id('id')} PRIMARY KEY,
      ${id('subject')} UNIQUE REFERENCES subjects (id) DEFERRABLE INITIALLY DEFERRED,
      email_index ${bytes} NOT NULL UNIQUE CHECK (length(email_index) = 32),
      profile ${bytes} NOT NULL,
      password ${text} NOT NULL,
      ${oneOf('role', ROLES)},
      ${flag('disabled')},
      ${flag('must_change_password')},
      token_epoch ${number} NOT NULL DEFAULT 0 CHECK (token_epoch >= 0),
      ${time('created')}
    ) ${table}`,
    'CREATE INDEX users_created ON users (created, id)',

    `CREATE TABLE login_failures (
      email_index ${bytes} NOT NULL CHECK (length(email_index) = 32),
      network ${bytes} NOT NULL CHECK (length(network) IN (0, 32)),
      failures ${number} NOT NULL CHECK (failures > 0),
      ${time('first')},
      last ${number} NOT NULL CHECK (last >= first),
      ${time('locked_until')},
      PRIMARY KEY (email_index, network)
    ) ${table}`,
    'CREATE INDEX login_failures_last ON login_failures (last)',

    `CREATE TABLE token_keys (kid ${text} PRIMARY KEY NOT NULL, jwk ${text} NOT NULL, ${time('expires')}) ${table}`,
    'CREATE INDEX token_keys_expires ON token_keys (expires)',

    `CREATE TABLE devices (
      ${id('id')} PRIMARY KEY,
      ${id('account')},
      name ${bytes} NOT NULL,
      public_key ${text} NOT NULL UNIQUE,
      machine_identity ${bytes} CHECK (length(machine_identity) = 32),
      ${oneOf('state', ['pending', 'approved', 'revoked'])},
      ${time('created')},
      ${maybeTime('decided')}
    ) ${table}`,
    'CREATE INDEX devices_account ON devices (account)',
    'CREATE INDEX devices_created ON devices (created, id)',

    `CREATE TABLE challenges (
      challenge ${text} PRIMARY KEY NOT NULL,
      ${oneOf('purpose', ['enrolment', 'lease-request'])},
      ${id('account')},
      nonce ${bytes} CHECK ((purpose = 'enrolment') = (nonce IS NOT NULL)),
      ${time('expires')}
    ) ${table}`,
    'CREATE INDEX challenges_expires ON challenges (expires)',
    'CREATE INDEX challenges_account ON challenges (account)',

    `CREATE TABLE publishers (name ${text} NOT NULL, key ${text} NOT NULL, PRIMARY KEY (name, key)) ${keyed}`,

    `CREATE TABLE versions (
      name ${text} NOT NULL,
      version ${text} NOT NULL,
      ordinal ${number} NOT NULL CHECK (ordinal > 0),
      ${oneOf('state', ['pending', 'released', 'rejected', 'revoked'])},
      format ${text} NOT NULL,
      ${id('payload_id')},
      digest ${text} NOT NULL,
      small ${bytes} NOT NULL,
      wrapped_to ${text} NOT NULL,
      big_name ${text} NOT NULL,
      big_size ${number} NOT NULL CHECK (big_size >= 0),
      publisher ${text} NOT NULL,
      ${id('published_by')},
      ${time('created')},
      ${maybeTime('decided')},
      PRIMARY KEY (name, version)
    ) ${table}`,
    'CREATE UNIQUE INDEX versions_ordinal ON versions (name, ordinal)',
    'CREATE INDEX versions_state ON versions (state, name, ordinal)',
    'CREATE INDEX versions_wrapped_to ON versions (wrapped_to)',
    'CREATE INDEX versions_big_name ON versions (big_name)',
    'CREATE INDEX versions_created ON versions (created, name, version)',

    `CREATE TABLE entitlements (
      ${id('id')} PRIMARY KEY,
      ${oneOf('kind', ['model', 'archive'])},
      name ${text} NOT NULL,
      ${id('account')},
      device ${text} ${hexId('device')},
      seats ${number} NOT NULL CHECK (seats > 0),
      lease_seconds ${number} NOT NULL CHECK (lease_seconds > 0),
      offline_seconds ${number} NOT NULL CHECK (offline_seconds >= 0),
      ${maybeTime('not_before')},
      ${maybeTime('not_after')},
      ${time('created')}
    ) ${table}`,
    'CREATE INDEX entitlements_account ON entitlements (account, kind, name)',
    'CREATE INDEX entitlements_device ON entitlements (device)',
    'CREATE INDEX entitlements_name ON entitlements (kind, name)',
    'CREATE INDEX entitlements_created ON entitlements (created, id)',

    `CREATE TABLE leases (
      ${id('id')} PRIMARY KEY,
      ${id('entitlement')},
      name ${text} NOT NULL,
      version ${text} NOT NULL,
      ${id('device')},
      ${id('account')},
      ${time('not_before')},
      ${time('not_after')},
      ${time('offline_until')},
      ${flag('revoked')},
      ${time('created')}
    ) ${table}`,
    // Seats are counted by entitlement among the leases that still hold.
    'CREATE INDEX leases_entitlement ON leases (entitlement, revoked, not_after)',
    'CREATE INDEX leases_device ON leases (device, name, version)',
    'CREATE INDEX leases_account ON leases (account)',
    'CREATE INDEX leases_name ON leases (name, version)',
    'CREATE INDEX leases_not_after ON leases (not_after)',
    'CREATE INDEX leases_created ON leases (created, id)',

    `CREATE TABLE archives (
      name ${text} PRIMARY KEY NOT NULL,
      ${oneOf('format', ['container', 'legacy'])},
      sha256 ${text} NOT NULL,
      size ${number} NOT NULL CHECK (size > 0),
      fragment ${bytes} NOT NULL,
      wrapped_to ${text} NOT NULL,
      ${id('registered_by')},
      ${time('created')}
    ) ${table}`,
    'CREATE INDEX archives_wrapped_to ON archives (wrapped_to)',

    `CREATE TABLE encryption_keys (
      key ${text} PRIMARY KEY NOT NULL,
      ${oneOf('state', ['current', 'retiring', 'removed'])},
      ${maybeTime('until')},
      ${time('created')}
    ) ${table}`,
    // There is one current key at any time.
    "CREATE UNIQUE INDEX encryption_keys_current ON encryption_keys (state) WHERE state = 'current'",

    `CREATE TABLE successions (
      ordinal ${number} PRIMARY KEY NOT NULL CHECK (ordinal > 0),
      statement ${text} NOT NULL,
      key ${text} NOT NULL UNIQUE,
      ${time('created')}
    ) ${table}`,

    `CREATE TABLE rotations (
      ${id('id')} PRIMARY KEY,
      ordinal ${number} NOT NULL UNIQUE CHECK (ordinal > 0),
      from_key ${text} NOT NULL,
      to_key ${text} NOT NULL,
      total ${number} NOT NULL CHECK (total >= 0),
      ${time('started')},
      ${maybeTime('finished')},
      ${time('accept_until')}
    ) ${table}`,

    `CREATE TABLE audit (
      seq ${number} PRIMARY KEY NOT NULL CHECK (seq > 0),
      bytes ${bytes} NOT NULL,
      head ${bytes} NOT NULL CHECK (length(head) = 48),
      ${time('time')},
      action ${text} NOT NULL,
      ${oneOf('outcome', ['success', 'failure', 'denied'])},
      resource ${text},
      subject ${text},
      actor ${text}
    ) ${table}`,
    'CREATE INDEX audit_time ON audit (time, seq)',
    'CREATE INDEX audit_action ON audit (action, seq)',
    'CREATE INDEX audit_subject ON audit (subject, seq)',
    'CREATE INDEX audit_actor ON audit (actor, seq) WHERE actor IS NOT NULL',
    'CREATE INDEX audit_resource ON audit (resource, seq)',
    'CREATE INDEX audit_outcome ON audit (outcome, seq)',

    `CREATE TABLE checkpoints (
      seq ${number} PRIMARY KEY NOT NULL CHECK (seq >= 0),
      head ${bytes} NOT NULL CHECK (length(head) = 48),
      ${time('time')},
      signature ${text} NOT NULL
    ) ${table}`,

    // A big part on its way into a bucket, or there and not published yet.
    `CREATE TABLE uploads (
      ${id('id')} PRIMARY KEY,
      name ${text} NOT NULL,
      version ${text} NOT NULL,
      part ${text} NOT NULL UNIQUE,
      size ${number} NOT NULL CHECK (size >= 0),
      piece_bytes ${number} NOT NULL CHECK (piece_bytes > 0),
      storage_id ${text} NOT NULL,
      ${id('account')},
      ${oneOf('state', ['open', 'stored', 'removing'])},
      ${time('created')},
      ${time('touched')}
    ) ${table}`,
    'CREATE INDEX uploads_account ON uploads (account)',
    'CREATE INDEX uploads_touched ON uploads (touched)',

    `CREATE ${passing} rate_counts (
      key ${text} PRIMARY KEY NOT NULL,
      window_end ${number} NOT NULL,
      count ${number} NOT NULL CHECK (count > 0)
    ) ${table}`,
    'CREATE INDEX rate_counts_window_end ON rate_counts (window_end)',

    // Work that one replica does for all.
    `CREATE ${passing} claims (
      task ${text} PRIMARY KEY NOT NULL,
      holder ${text} NOT NULL,
      ${time('until')}
    ) ${table}`,
  ];
}
