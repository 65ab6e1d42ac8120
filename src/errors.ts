/**
 * One error class, one closed union of codes. This file imports nothing, so that everything may import it.
 * docs/errors.md lists the same codes; test/errors.test.ts keeps them, the native table and this one equal.
 */

/**
 * The advice of each code, and the exit status that the command line gives it. Native codes stand first, in the order
 * of native/core/status.h; the last ones exist in the SDK only.
 */
export const ERROR_CODES = {
  ABORT_ERR: { exit: 130, advice: 'Run it again when you want the result.' },
  INVALID_ARGUMENT: { exit: 2, advice: 'Correct the named argument and call again.' },
  NOT_A_CONTAINER: { exit: 3, advice: 'Give a .mguard container or a small part; this was never one.' },
  CONTAINER_TRUNCATED: { exit: 3, advice: 'Fetch it again: bytes are missing at the end.' },
  CONTAINER_MALFORMED: { exit: 3, advice: 'Fetch it again from where it was published; do not repair it by hand.' },
  VERSION_UNSUPPORTED: { exit: 3, advice: 'Update model-guard: a newer version wrote this.' },
  CRITICAL_UNSUPPORTED: { exit: 3, advice: 'Update model-guard: it must understand every slot that is marked critical.' },
  LIMIT_EXCEEDED: {
    exit: 3,
    advice:
      'Stay below the limit that the message names (docs/format.md). What comes from elsewhere beyond it is damaged or hostile.',
  },
  MANIFEST_INVALID: { exit: 3, advice: 'Ask the publisher to protect the model again; its list of files breaks the format.' },
  REFERENCE_MISMATCH: { exit: 4, advice: 'Check what the store serves under this name: it is another model or another version.' },
  PARTS_MISMATCH: { exit: 4, advice: 'Fetch the small and the big part of the same name and version again.' },
  INTEGRITY_FAILED: { exit: 4, advice: 'Do not use it: it was changed or damaged. Fetch it again from its publisher.' },
  DIGEST_MISMATCH: {
    exit: 4,
    advice: 'Do not use it: the payload is not the one that was signed. Fetch it again from its publisher.',
  },
  SIGNATURE_MISSING: {
    exit: 4,
    advice:
      "Have the publisher sign it, or accept it unsigned (unsigned: 'accept', --unsigned accept) if you trust its origin otherwise.",
  },
  SIGNATURE_INVALID: { exit: 4, advice: 'Do not use it unless you know that the publisher changed keys; then pin the new key.' },
  LEASE_UNTRUSTED: { exit: 4, advice: 'Pin the key of the server that issued the lease (leaseKeys), from a source you trust.' },
  LEASE_NOT_YET_VALID: { exit: 5, advice: 'Check the clock of this machine, or wait until the lease begins.' },
  LEASE_EXPIRED: { exit: 5, advice: 'Check the clock of this machine, or reach the server for a new lease.' },
  POLICY_PRESENT: { exit: 5, advice: 'Re-wrap from a small part without a policy; a lease cannot be passed on.' },
  NO_MATCHING_IDENTITY: {
    exit: 5,
    advice: 'Give the identity of one of its recipients; `model-guard key show FILE` prints the id of a key.',
  },
  DERIVATIONS_EXCEEDED: {
    exit: 5,
    advice:
      'Check where the small part comes from: anyone who can change it can add slots. If it is meant to have them, raise the bound (maxDerivations, --max-derivations).',
  },
  KEY_INVALID: { exit: 5, advice: 'Give an unchanged key as `model-guard keygen` wrote or printed it.' },
  KEY_TYPE_WRONG: { exit: 5, advice: 'Give a key of the type this place asks for.' },
  PASSPHRASE_INVALID: { exit: 5, advice: 'Give 1 to 1,024 bytes of UTF-8 text.' },
  HARDWARE_MISMATCH: {
    exit: 5,
    advice:
      'Load it on the machine it was made for. If parts of this machine were replaced, export a new machine file here (`model-guard fingerprint --out`), or make a new device key, and have the model released to it.',
  },
  HARDWARE_UNREADABLE: {
    exit: 5,
    advice:
      'Run `model-guard fingerprint` to see what this machine shows and why; a container may need /sys, a factor may need root.',
  },
  MACHINE_FILE_INVALID: {
    exit: 5,
    advice: 'Export it again on the target machine (`model-guard fingerprint --out`) and send it unchanged.',
  },
  MACHINE_POLICY_WEAK: {
    exit: 5,
    advice: 'Have the target exported again with at least the factors that you ask for (--require, --at-least).',
  },
  SALTS_MISMATCH: {
    exit: 5,
    advice: 'Use the build of model-guard that carries those salts, or bind it again with this one.',
  },
  SALTS_INVALID: {
    exit: 5,
    advice: 'Give a salts file as docs/format.md section 13 describes it; `model-guard keygen --type salts` makes one.',
  },
  TPM_UNAVAILABLE: {
    exit: 5,
    advice:
      'Check that the machine has a TPM 2.0, that this user may use it (often: group tss), and that libtss2-esys is installed.',
  },
  TPM_LOCKED: {
    exit: 5,
    advice: "Wait until the TPM's lock-out ends, or have its owner clear it (`tpm2_dictionarylockout --clear-lockout`).",
  },
  TPM_REFUSED: {
    exit: 5,
    advice: 'If firmware or boot settings were changed on purpose, enrol again: make a new device key or a new machine file.',
  },
  LEGACY_FAILED: {
    exit: 4,
    advice:
      'Check the key, its salts and encoding, and the artifact. The legacy profile cannot tell these apart, and misses about 1 in 256 wrong keys.',
  },
  NAME_INVALID: { exit: 2, advice: 'Rename it: docs/format.md says what a name may hold.' },
  SOURCE_UNSUPPORTED: { exit: 6, advice: 'Use regular files and folders only: replace or leave out what the message names.' },
  SOURCE_EMPTY: { exit: 6, advice: 'Check the path: there is nothing in it to protect.' },
  SOURCE_CHANGED: { exit: 6, advice: 'What was made of it is not kept; run it again once no program writes to the file.' },
  NOT_FOUND: { exit: 6, advice: 'Check the name, the version and the place.' },
  ALREADY_EXISTS: {
    exit: 6,
    advice: 'Choose another name, version or path, or replace it explicitly where that is offered (overwrite: true, --force).',
  },
  PERMISSION_DENIED: { exit: 6, advice: 'Give this user access to the path that the message names.' },
  READ_ONLY: { exit: 6, advice: 'Choose a place that can be written to.' },
  NO_SPACE: { exit: 6, advice: 'Free some space or raise the quota; nothing half-written was left.' },
  IO_FAILED: { exit: 6, advice: 'Check the disk or the store.' },
  OUT_OF_MEMORY: { exit: 1, advice: 'Free some memory, raise the limit, or use a machine with more.' },
  DISPOSED: { exit: 1, advice: 'Load the model again; a disposed one holds nothing.' },
  PROCESS_FORKED: { exit: 1, advice: 'Read keys and open models after the fork, or have the new process execute its program.' },
  MOUNT_REFUSED: {
    exit: 1,
    advice:
      'Run it without --mount. To allow the mount, let this user make user namespaces (sysctl: user.max_user_namespaces above 0, kernel.unprivileged_userns_clone=1, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), and in a container allow unshare and mount in its seccomp and AppArmor profiles.',
  },
  INTERNAL: { exit: 1, advice: 'This is a fault of model-guard: please report it with the stack.' },
  VERIFIER_REQUIRED: {
    exit: 2,
    advice: "Pass the publisher's public key as verifier, or unsigned: 'accept' if you know the origin otherwise.",
  },
  TENSORS_MALFORMED: {
    exit: 3,
    advice: 'Do not use the file: its table of tensors is damaged or hostile. Export the model again.',
  },
  IN_USE: { exit: 6, advice: 'Wait until the other one is done, or give this one a folder of its own.' },
  NOT_AUTHENTICATED: { exit: 7, advice: 'Check e-mail address and password of the account (`model-guard login`).' },
  NOT_AUTHORISED: {
    exit: 7,
    advice: 'Have an administrator give this account the role, or the entitlement, that the message names.',
  },
  PASSWORD_WEAK: { exit: 7, advice: 'Choose at least 12 characters that are not easily guessed and not the name or address.' },
  DEVICE_NOT_APPROVED: {
    exit: 7,
    advice: 'Have an administrator compare the fingerprint and approve this device (`model-guard devices approve`).',
  },
  DEVICE_REVOKED: { exit: 7, advice: 'Make a new device key and enrol it, if this machine is still meant to load models.' },
  NOT_RELEASED: { exit: 7, advice: 'Have a validator or an administrator release this version (`model-guard release`).' },
  SEATS_TAKEN: { exit: 7, advice: 'Wait until a lease ends, have one revoked, or have the number of seats raised.' },
  PROOF_INVALID: { exit: 7, advice: 'Try again with the key that this device was enrolled with; check that the clock is right.' },
  ROLLBACK_REFUSED: {
    exit: 7,
    advice: "Ask for the newer version, or allow the older one explicitly (rollback: 'accept', --rollback).",
  },
  REVIEW_OUTDATED: {
    exit: 7,
    advice:
      'Look at the version again (`model-guard models show`), and decide about the payload that is there now (payloadId, --payload).',
  },
  CLOCK_SET_BACK: {
    exit: 7,
    advice:
      'Set the clock right. If it is right, and was ahead once, let this device reach the guard server: its signed time corrects what the device has seen.',
  },
  CLOCK_SKEWED: { exit: 7, advice: "Set this machine's clock: it may differ from the server's by two minutes." },
  RATE_LIMITED: { exit: 7, advice: 'Wait as long as the message says, then try again.' },
  SERVER_UNREACHABLE: { exit: 7, advice: 'Check the address, the network and the certificate.' },
  SERVER_UNTRUSTED: {
    exit: 7,
    advice:
      'Do not go on: another server may answer. If the server was set up anew, pin its new key, from a source you trust (`model-guard login --server-key K`, serverKey).',
  },
  SERVER_FAILED: { exit: 7, advice: "Try again later; the server's log has the request id." },
  RESPONSE_INVALID: {
    exit: 7,
    advice:
      'Check that the address is that of a guard server of the same version, or of a store, and what stands before it: a proxy, a gateway, the log-in page of a network.',
  },
  TIMED_OUT: { exit: 7, advice: 'Try again, or allow more time (timeoutMs).' },
  ARCHIVE_CHANGED: { exit: 4, advice: 'Do not use it: it is not the archive that was registered. Fetch it again.' },
  AUDIT_LOG_BROKEN: {
    exit: 4,
    advice: 'Keep the export and the checkpoint as they are: the log was changed after it was written.',
  },
  AUDIT_LOG_TRUNCATED: { exit: 4, advice: 'Ask for a full export: this one ends before the checkpoint, or begins too late.' },
  AUDIT_LOG_ROLLED_BACK: {
    exit: 4,
    advice:
      "Tell the server's administrator: it was set back to an earlier state, or its log was rewritten. After a restore that was meant, accept its statement (`model-guard audit-log accept`).",
  },
  FILE_UNSAFE: {
    exit: 6,
    advice: 'Check what the file says, then take the right to write from other users (`chmod go-w`, `chown`).',
  },
  NATIVE_UNTRUSTED: {
    exit: 1,
    advice: 'Unset the variable, or install the package again. A program that brings its own build names it with useNativeAddon.',
  },
  NATIVE_UNAVAILABLE: { exit: 1, advice: 'Install it where the native addon can be built or has a prebuilt binary.' },
} as const satisfies Record<string, { readonly exit: number; readonly advice: string }>;

/** Every code an error of this package may carry; docs/errors.md explains each. */
export type ModelGuardErrorCode = keyof typeof ERROR_CODES;

/** The parts of an error besides its code and its text. */
export interface ModelGuardErrorOptions {
  readonly cause?: unknown;
  readonly advice?: string | undefined;
  readonly outcome?: 'unknown' | undefined;
}

/**
 * The one error of this package. Its message says what happened and what to do; decide by {@link code}, not by the text
 * and not by `instanceof` (an application may hold both the ESM and the CommonJS copy of this class).
 *
 * Stores of your own throw it as well, so that callers see one kind of error.
 * @example
 * try { await load('defects@3', options); }
 * catch (error) { if ((error as ModelGuardError).code === 'NOT_FOUND') …; }
 */
export class ModelGuardError extends Error {
  /** Stable: scripts and callers may rely on it. */
  readonly code: ModelGuardErrorCode;
  /** Present where the call failed and its change may have been made all the same. The message says where to look. */
  declare readonly outcome?: 'unknown';

  /**
   * @param code One of the documented codes.
   * @param what One sentence about this occurrence. The advice for the code is appended.
   * @param options `cause`: what led to it; `advice` replaces the code's general advice by a more fitting one; `outcome` as the member.
   */
  constructor(code: ModelGuardErrorCode, what: string, options: ModelGuardErrorOptions = {}) {
    const sentence = /[.!?]$/.test(what) ? what : `${what}.`;
    super(`${sentence} ${options.advice ?? ERROR_CODES[code].advice}`, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    if (options.outcome !== undefined) this.outcome = options.outcome;
  }

  static {
    // On the prototype, so that the first line of every stack names the class.
    Object.defineProperty(ModelGuardError.prototype, 'name', { value: 'ModelGuardError', configurable: true, writable: true });
  }
}

/** The option or argument that an error is about, by its path, and what is wrong with it. */
interface Fault {
  readonly option: string;
  readonly what: string;
}
const FAULTS = new WeakMap<Error, Fault>();

/** An error about an option or argument. Callers with other names for it, as the command line has flags, find it with {@link faultOf}. */
export function optionError(
  code: ModelGuardErrorCode,
  option: string,
  what: string,
  options?: ConstructorParameters<typeof ModelGuardError>[2],
): ModelGuardError {
  const error = new ModelGuardError(code, `${option}: ${what}`, options);
  FAULTS.set(error, { option, what });
  return error;
}

export const faultOf = (error: Error): Fault | undefined => FAULTS.get(error);

/**
 * The error of a cancelled operation: `name` is `AbortError`, `code` is `ABORT_ERR`, `cause` is `signal.reason`.
 * @example
 * try { await load('defects@3', { ...options, signal }); }
 * catch (error) { if ((error as Error).name !== 'AbortError') throw error; }
 */
export class AbortError extends ModelGuardError {
  /**
   * @param reason The signal's reason, kept as `cause`.
   * @param options As those of {@link ModelGuardError}.
   */
  constructor(reason?: unknown, options: Omit<ModelGuardErrorOptions, 'cause'> = {}) {
    super('ABORT_ERR', 'The operation was aborted', { ...options, cause: reason });
  }

  static {
    Object.defineProperty(AbortError.prototype, 'name', { value: 'AbortError', configurable: true, writable: true });
  }
}

/**
 * Whether `value` is an error, by its shape. `instanceof` is false for the errors of Node's own modules where code runs in a context of
 * its own, as under jest.
 */
export const isError = (value: unknown): value is Error =>
  typeof value === 'object' &&
  value !== null &&
  'name' in value &&
  typeof value.name === 'string' &&
  'message' in value &&
  typeof value.message === 'string';

/** The code of an error, of the system's (`ENOENT`) or of this package's. */
export const codeOf = (error: unknown): string | undefined =>
  isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** True for an error of this package, whichever copy of the package made it. */
export function isModelGuardError(error: unknown): error is ModelGuardError {
  const code = codeOf(error);
  return code !== undefined && Object.hasOwn(ERROR_CODES, code);
}

export const hasCode = (error: unknown, code: ModelGuardErrorCode): error is ModelGuardError =>
  isModelGuardError(error) && error.code === code;
