/** A change whose answer was lost may have been made. Finds out, or makes an error that claims neither. */
import type { AbortSignalLike } from '../base/abort.js';
import type { routes } from '../contract/index.js';
import { AbortError, ERROR_CODES, hasCode, ModelGuardError } from '../errors.js';
import type { Pace } from '../http/retry.js';
import { retryHintOf } from '../http/retry-hints.js';
import { within } from '../http/watch.js';
import { type JsonRoute, mayBeDone } from './http/client.js';

/** Routes that may be asked again whatever became of the first request. */
type RepeatedRoute =
  | 'token'
  | 'login'
  | 'findUser'
  | 'challengeDevice'
  | 'challengeLease'
  | 'takeLease'
  | 'unlockArchive'
  | 'beginUpload'
  | 'uploadUrls'
  | 'completeUpload'
  | 'abortUpload';
type PostedRoute = { [Name in JsonRoute]: (typeof routes)[Name]['method'] extends 'GET' ? never : Name }[JsonRoute];
type ChangingRoute = Exclude<PostedRoute, RepeatedRoute>;

const version = 'Look at the version (`model-guard models show`, models.get) before you repeat it.';
const devices = 'Look at the device (`model-guard devices list`, devices.get) before you repeat it.';
const entitlements = 'Look at the list (`model-guard entitlements list`, entitlements.list) before you repeat it.';
const users = 'Look at the account (`model-guard users list`, users.list) before you repeat it.';
const archives = 'Look at the list (`model-guard archives list`, archives.list) before you repeat it.';

/** Where the outcome of a change shows. */
const CHECKS: Readonly<Record<ChangingRoute, string>> = {
  publishVersion: version,
  releaseVersion: version,
  rejectVersion: version,
  revokeVersion: version,
  setPublishers: 'Look at the keys (`model-guard models publishers`, publishers.get), or set them again.',
  enrollDevice: 'Enrol again (`model-guard enroll`, enroll): a device that is enrolled is told how it stands.',
  approveDevice: devices,
  revokeDevice: devices,
  createEntitlement: entitlements,
  deleteEntitlement: entitlements,
  revokeLease: 'Look at the list (`model-guard leases list`, leases.list), or revoke it again: NOT_FOUND says that it is gone.',
  createUser: users,
  updateUser: users,
  resetUserPassword:
    'Look whether the account is told to change its password (`model-guard users list --json`, users.get), or reset it again.',
  eraseUser: users,
  changePassword: 'Log in with the new password; only if that is refused the old one still holds.',
  registerArchive: archives,
  deleteArchive: archives,
  rotateKeys: 'Look at the rotations (`model-guard server-keys list`, keys.list) before you repeat it.',
  rotateSigningKey:
    'Look for keys.rotate-signing in the audit log (`model-guard audit-log events`, audit.events) before you repeat it: each time makes another key.',
  stateRestored: 'Ask for the statement again: a second one does no harm.',
};

/** How long the state is asked for, unless the change itself may take longer. */
const SEARCH_MS = 10_000;
/** After a cancellation: shorter than a store that writes is waited for. */
const SEARCH_ABORTED_MS = 4_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;

interface Signalled {
  readonly signal?: AbortSignalLike | undefined;
}
/** Gives the answer that the change would have given, if it is there; undefined where it is not, or not yet. */
export type FindOutcome<T> = (options: Required<Signalled>) => Promise<{ readonly answer: T } | undefined>;

/** Of a deletion: it is made once nothing is found. */
export const gone =
  (get: (options: Required<Signalled>) => Promise<unknown>): FindOutcome<undefined> =>
  async (options) => {
    try {
      await get(options);
      return undefined;
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      return { answer: undefined };
    }
  };

interface Change<T> extends Signalled {
  readonly route: ChangingRoute;
  readonly pace: Pace;
  /** Absent where no question tells the outcome for certain. */
  readonly find?: FindOutcome<T> | undefined;
  /** Milliseconds. */
  readonly patience?: number | undefined;
  /** Of the change that is meant, for the error. */
  readonly detail?: string | undefined;
}

/**
 * Runs `change`, which asks the server for it. Where its answer is lost, the state is asked for until the patience is over, for a short time
 * after a cancellation too. What cannot be found out is an error of the same code whose `outcome` is `unknown`.
 */
export async function withOutcome<T>(change: () => Promise<T>, known: Change<T>): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (!mayBeDone(error)) throw error;
    const { signal } = known;
    const found = await (signal?.aborted ? search({ ...known, signal: undefined, patience: SEARCH_ABORTED_MS }) : search(known));
    if (found) return found.answer;
    throw unknownOutcome(error, known);
  }
}

export const isChanging = (name: JsonRoute): name is ChangingRoute => Object.hasOwn(CHECKS, name);

/** Asks until the outcome shows, with growing pauses; undefined where it does not in time, or may not be asked for. */
export async function search<T>({
  pace,
  find,
  signal,
  patience = SEARCH_MS,
}: Pick<Change<T>, 'pace' | 'find' | 'signal' | 'patience'>): Promise<{ readonly answer: T } | undefined> {
  if (!find) return undefined;
  const searching = async (limited: AbortSignalLike) => {
    let waited = 0;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const found = await find({ signal: limited }).catch(unlessPassing);
      if (found || waited >= patience) return found;
      await pace.sleep(pause, limited);
      waited += pause;
    }
  };
  return await within(patience, signal, searching).catch(() => undefined);
}

/** A server that is away may be back at the next question. */
function unlessPassing(error: unknown): undefined {
  if (!retryHintOf(error)) throw error;
}

function unknownOutcome<T>(error: ModelGuardError, { route, signal, detail }: Change<T>): ModelGuardError {
  const advice = `It may have been done all the same${detail === undefined ? '' : ` (${detail})`}. ${CHECKS[route]}`;
  if (signal?.aborted) return new AbortError(signal.reason, { advice, outcome: 'unknown' });
  const general = ERROR_CODES[error.code].advice;
  const what = error.message.endsWith(general) ? error.message.slice(0, -general.length).trimEnd() : error.message;
  return new ModelGuardError(error.code, what, { cause: error, advice, outcome: 'unknown' });
}
