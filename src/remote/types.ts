/** The options of the client. `options.ts` checks the same shapes at run time; test/types.test.ts keeps them equal. */
import type { AbortSignalLike } from '../base/abort.js';
import type { AuditActionFilter } from '../contract/index.js';
import type { OriginOptions } from '../engine/options.js';
import type { TlsSource } from '../http/tls.js';
import type { VerifyingKey } from '../keys/public.js';
import type { DeviceKey, MasterKey } from '../keys/secret.js';
import type { Verifier } from '../keys/verifiers.js';
import type { LegacyKey } from '../legacy/key.js';
import type { RunOptions } from '../native/work.js';
import type { AuditEvent } from './records.js';

/** E-mail address and password of an account. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/**
 * Where credentials come from: a callback, a file (two lines, or JSON with `email` and `password`; 0600), or the names of two variables
 * of the environment. They are read anew for every log-in, and once in each process, and never kept.
 */
export type CredentialsSource =
  | (() => Credentials | Promise<Credentials>)
  | { readonly file: string }
  | { readonly env: { readonly email: string; readonly password: string } };

/** Certificates: paths of PEM files, or their text. */
export type TlsOptions = TlsSource;

/** Options of `guardServer`. */
export interface GuardServerOptions {
  /** `https://…`; `http://` for this machine alone. */
  readonly url: string;
  /** The server's signing key, `mgs1:…`, from a source you trust. It is what everything the server says is checked against. */
  readonly serverKey: string | VerifyingKey;
  /** Absent for a server whose authentication is switched off. */
  readonly credentials?: CredentialsSource | undefined;
  /** This machine's key. Needed to load and to unlock, not to publish and to administer. */
  readonly device?: DeviceKey | undefined;
  /** Publishers that are trusted: for every model, or by the model's name. */
  readonly publishers?: Verifier | { readonly [name: string]: Verifier } | undefined;
  /**
   * Folder of what the device remembers, and of its newest token, sealed. Default: `~/.local/state/model-guard`, or below XDG_STATE_HOME
   * where that is set. The device's folder in it is for this user alone (0700). Required where there is no home folder.
   */
  readonly state?: string | undefined;
  /** An own certificate authority, a client certificate, which `url` alone is shown. TLS 1.3 is always verified. Files that change are read again. */
  readonly tls?: TlsOptions | undefined;
  /**
   * The URL of an HTTP proxy for every address, with `USER:PASSWORD@` where it asks for them; `false`: none. Default: HTTPS_PROXY, HTTP_PROXY
   * for plain HTTP, and NO_PROXY, in lower or upper case. TLS goes through a tunnel, from end to end.
   */
  readonly proxy?: string | false | undefined;
  /** How long an answer may take, and a stream be silent, in milliseconds. Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * How long the pauses that the server asks for (`Retry-After`) are waited for, in all, in one call, in milliseconds: what would take
   * longer is RATE_LIMITED at once. Default: 120,000. With a lease that is kept and will do, at most 5,000.
   */
  readonly patienceMs?: number | undefined;
  /** Accepts versions older than one this device has had, in the calls of this client alone: the newest one had stays remembered. */
  readonly rollback?: 'accept' | undefined;
}

/** Options of calls. */
export interface CallerOptions {
  /** Cancels; the promise then rejects with an AbortError whose `cause` is the signal's reason. */
  readonly signal?: AbortSignalLike | undefined;
}

/** Options of `reject`. */
export interface ReviewOptions extends CallerOptions {
  /** The payload that was reviewed, as `models.get` shows it: 32 hex digits. The version may have been replaced since. */
  readonly payloadId: string;
}

/** Options of `release`. */
export interface ReleaseOptions extends ReviewOptions {
  /** Releases it although a newer version is released, which is then rejected. */
  readonly rollback?: 'accept' | undefined;
}

/** Options of `archives.register`. */
export interface RegisterArchiveOptions extends CallerOptions {
  /** `[a-z0-9][a-z0-9._-]{0,127}`. Default: the normalised file name. */
  readonly name?: string | undefined;
  /** The key that it was encrypted with: a master key for a container, a key string for a legacy artifact. */
  readonly key: MasterKey | LegacyKey;
  /** Phase `verify`: the file is read. */
  readonly onProgress?: RunOptions['onProgress'];
}

/** Which events are wanted. */
export interface AuditQuery {
  /** One action, such as `leases.take`, or all of a concern, such as `leases`. */
  readonly action?: AuditActionFilter | undefined;
  readonly outcome?: AuditEvent['outcome'] | undefined;
  readonly account?: string | undefined;
  readonly resource?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** Where an unlock is. `failed` and `done` are final. */
export type UnlockState = 'idle' | 'authenticating' | 'fetchingKey' | 'decrypting' | 'done' | 'failed';

/** A `Readable` of Node; consumers need not have its types. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  /** Ends the stream early, with the error that its readers get. */
  destroy(error?: Error): unknown;
}
/** The methods of Node's `Writable` that are used, such as of a child's standard input. */
export interface ByteSink {
  /** Writes a piece, and calls `done` once it was passed on, or with the error that prevented it. */
  write(piece: Uint8Array, done: (error?: Error | null) => void): unknown;
  /** No more pieces follow. */
  end(): unknown;
}

/** Options of `unlock` of a guard server. */
export interface UnlockOptions extends Pick<OriginOptions, 'verifier' | 'unsigned'>, CallerOptions {
  /** The name that it was registered under. Default: the normalised file name. */
  readonly name?: string | undefined;
  /** Phases `verify`, the file against its registered digest, and `decrypt`. What it throws ends the stream. */
  readonly onProgress?: RunOptions['onProgress'];
  /** Called with every state. */
  readonly onState?: ((state: UnlockState) => void) | undefined;
}
