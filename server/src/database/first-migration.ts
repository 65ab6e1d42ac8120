/** The first tables. What a value may be is said here too, so that a fault of the code does not become a fault of the data. */
import { ROLES } from '@org/model-guard/server-kit';

const ID = "CHECK (length(%) = 32 AND % NOT GLOB '*[^0-9a-f]*')";
const id = (column: string): string => `${column} TEXT NOT NULL ${ID.replaceAll('%', column)}`;
const flag = (column: string): string => `${column} INTEGER NOT NULL DEFAULT 0 CHECK (${column} IN (0, 1))`;
const time = (column: string): string => `${column} INTEGER NOT NULL CHECK (${column} >= 0)`;
const maybeTime = (column: string): string => `${column} INTEGER CHECK (${column} >= 0)`;
const oneOf = (column: string, values: readonly string[]): string =>
  `${column} TEXT NOT NULL CHECK (${column} IN (${values.map((value) => `'${value}'`).join(', ')}))`;

export const FIRST: readonly string[] = [
  'CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT',

  `CREATE TABLE subjects (
    ${id('id')} PRIMARY KEY,
    wrapped BLOB NOT NULL,
    ${oneOf('kind', ['user', 'day'])},
    day TEXT UNIQUE CHECK ((kind = 'day') = (day IS NOT NULL)),
    ${time('created')}
  ) STRICT`,

  // The subject's key is destroyed only together with the account, in either order.
  `CREATE TABLE users (
    ${id('id')} PRIMARY KEY,
    ${id('subject')} UNIQUE REFERENCES subjects (id) DEFERRABLE INITIALLY DEFERRED,
    email_index BLOB NOT NULL UNIQUE CHECK (length(email_index) = 32),
    profile BLOB NOT NULL,
    password TEXT NOT NULL,
    ${oneOf('role', ROLES)},
    ${flag('disabled')},
    ${flag('must_change_password')},
    token_epoch INTEGER NOT NULL DEFAULT 0 CHECK (token_epoch >= 0),
    ${time('created')}
  ) STRICT`,
  'CREATE INDEX users_created ON users (created, id)',

  `CREATE TABLE login_failures (
    email_index BLOB PRIMARY KEY NOT NULL CHECK (length(email_index) = 32),
    failures INTEGER NOT NULL CHECK (failures > 0),
    ${time('last')},
    ${time('locked_until')}
  ) STRICT`,
  'CREATE INDEX login_failures_last ON login_failures (last)',

  `CREATE TABLE token_keys (kid TEXT PRIMARY KEY NOT NULL, jwk TEXT NOT NULL, ${time('expires')}) STRICT`,
  'CREATE INDEX token_keys_expires ON token_keys (expires)',

  `CREATE TABLE devices (
    ${id('id')} PRIMARY KEY,
    ${id('account')},
    name BLOB NOT NULL,
    public_key TEXT NOT NULL UNIQUE,
    machine_identity BLOB CHECK (length(machine_identity) = 32),
    ${oneOf('state', ['pending', 'approved', 'revoked'])},
    ${time('created')},
    ${maybeTime('decided')}
  ) STRICT`,
  'CREATE INDEX devices_account ON devices (account)',
  'CREATE INDEX devices_created ON devices (created, id)',

  `CREATE TABLE challenges (
    challenge TEXT PRIMARY KEY NOT NULL,
    ${oneOf('purpose', ['enrolment', 'lease-request'])},
    ${id('account')},
    nonce BLOB CHECK ((purpose = 'enrolment') = (nonce IS NOT NULL)),
    ${time('expires')}
  ) STRICT`,
  'CREATE INDEX challenges_expires ON challenges (expires)',
  'CREATE INDEX challenges_account ON challenges (account)',

  'CREATE TABLE publishers (name TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (name, key)) STRICT, WITHOUT ROWID',

  `CREATE TABLE versions (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    ordinal INTEGER NOT NULL CHECK (ordinal > 0),
    ${oneOf('state', ['pending', 'released', 'rejected', 'revoked'])},
    format TEXT NOT NULL,
    ${id('payload_id')},
    digest TEXT NOT NULL,
    small BLOB NOT NULL,
    wrapped_to TEXT NOT NULL,
    big_name TEXT NOT NULL,
    big_size INTEGER NOT NULL CHECK (big_size >= 0),
    publisher TEXT NOT NULL,
    ${id('published_by')},
    ${time('created')},
    ${maybeTime('decided')},
    PRIMARY KEY (name, version)
  ) STRICT`,
  'CREATE UNIQUE INDEX versions_ordinal ON versions (name, ordinal)',
  'CREATE INDEX versions_state ON versions (state, name, ordinal)',
  'CREATE INDEX versions_wrapped_to ON versions (wrapped_to)',
  'CREATE INDEX versions_big_name ON versions (big_name)',
  'CREATE INDEX versions_created ON versions (created, name, version)',

  `CREATE TABLE entitlements (
    ${id('id')} PRIMARY KEY,
    ${oneOf('kind', ['model', 'archive'])},
    name TEXT NOT NULL,
    ${id('account')},
    device TEXT ${ID.replaceAll('%', 'device')},
    seats INTEGER NOT NULL CHECK (seats > 0),
    lease_seconds INTEGER NOT NULL CHECK (lease_seconds > 0),
    offline_seconds INTEGER NOT NULL CHECK (offline_seconds >= 0),
    ${maybeTime('not_before')},
    ${maybeTime('not_after')},
    ${time('created')}
  ) STRICT`,
  'CREATE INDEX entitlements_account ON entitlements (account, kind, name)',
  'CREATE INDEX entitlements_device ON entitlements (device)',
  'CREATE INDEX entitlements_name ON entitlements (kind, name)',
  'CREATE INDEX entitlements_created ON entitlements (created, id)',

  `CREATE TABLE leases (
    ${id('id')} PRIMARY KEY,
    ${id('entitlement')},
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    ${id('device')},
    ${id('account')},
    ${time('not_before')},
    ${time('not_after')},
    ${time('offline_until')},
    ${flag('revoked')},
    ${time('created')}
  ) STRICT`,
  // Seats are counted by entitlement among the leases that still hold.
  'CREATE INDEX leases_entitlement ON leases (entitlement, revoked, not_after)',
  'CREATE INDEX leases_device ON leases (device, name, version)',
  'CREATE INDEX leases_account ON leases (account)',
  'CREATE INDEX leases_name ON leases (name, version)',
  'CREATE INDEX leases_not_after ON leases (not_after)',
  'CREATE INDEX leases_created ON leases (created, id)',

  `CREATE TABLE archives (
    name TEXT PRIMARY KEY NOT NULL,
    ${oneOf('format', ['container', 'legacy'])},
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    fragment BLOB NOT NULL,
    wrapped_to TEXT NOT NULL,
    ${id('registered_by')},
    ${time('created')}
  ) STRICT`,
  'CREATE INDEX archives_wrapped_to ON archives (wrapped_to)',

  `CREATE TABLE encryption_keys (
    key TEXT PRIMARY KEY NOT NULL,
    ${oneOf('state', ['current', 'retiring', 'removed'])},
    ${maybeTime('until')},
    ${time('created')}
  ) STRICT`,
  // There is one current key at any time.
  "CREATE UNIQUE INDEX encryption_keys_current ON encryption_keys (state) WHERE state = 'current'",

  `CREATE TABLE successions (
    ordinal INTEGER PRIMARY KEY NOT NULL CHECK (ordinal > 0),
    statement TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    ${time('created')}
  ) STRICT`,

  `CREATE TABLE rotations (
    ${id('id')} PRIMARY KEY,
    from_key TEXT NOT NULL,
    to_key TEXT NOT NULL,
    total INTEGER NOT NULL CHECK (total >= 0),
    ${time('started')},
    ${maybeTime('finished')},
    ${time('accept_until')}
  ) STRICT`,

  `CREATE TABLE audit (
    seq INTEGER PRIMARY KEY NOT NULL CHECK (seq > 0),
    bytes BLOB NOT NULL,
    head BLOB NOT NULL CHECK (length(head) = 48),
    ${time('time')},
    action TEXT NOT NULL,
    ${oneOf('outcome', ['success', 'failure', 'denied'])},
    resource TEXT,
    subject TEXT,
    actor TEXT
  ) STRICT`,
  'CREATE INDEX audit_time ON audit (time, seq)',
  'CREATE INDEX audit_action ON audit (action, seq)',
  'CREATE INDEX audit_subject ON audit (subject, seq)',
  'CREATE INDEX audit_actor ON audit (actor, seq) WHERE actor IS NOT NULL',
  'CREATE INDEX audit_resource ON audit (resource, seq)',
  'CREATE INDEX audit_outcome ON audit (outcome, seq)',

  `CREATE TABLE checkpoints (
    seq INTEGER PRIMARY KEY NOT NULL CHECK (seq >= 0),
    head BLOB NOT NULL CHECK (length(head) = 48),
    ${time('time')},
    signature TEXT NOT NULL
  ) STRICT`,
];
