/** The guard server as this SDK sees it: a store, and everything else that it does. */
import type { AbortSignalLike } from '../abort.js';
import { hasCode, isModelGuardError, ModelGuardError } from '../errors.js';
import type { DeviceKey } from '../keys/index.js';
import { filePath, guardServerOptions, label as labelOf, parse, reference, unlockOptions } from '../options.js';
import { checkedBigName, checkedRef, label } from '../stores/parts.js';
import type {
  BigPartSource,
  DefaultsOptions,
  ModelRef,
  OpenBigPart,
  PartStore,
  Published,
  StoreDefaults,
  StoreOptions,
} from '../stores/store.js';
import type { Reference, Verifier } from '../types.js';
import { RemoteBigPart } from './big-part.js';
import type { Connection } from './connection.js';
import { type EnrollingDevice, enroll } from './enrolment.js';
import { latestOf } from './latest.js';
import { AWAY, type Held, type Leases, SHORT_MS } from './leases.js';
import type { Memory } from './memory.js';
import { paged } from './pages.js';
import { isPublished, publishSmall, uploadBig } from './publishing.js';
import { Devices, Entitlements, IssuedLeases } from './rooms/access.js';
import { Archives } from './rooms/archives.js';
import { Models, Publishers, versionOf } from './rooms/models.js';
import { Audit, ServerKeys } from './rooms/operations.js';
import { OwnAccount, Users } from './rooms/people.js';
import { type Setup, setUp } from './setup.js';
import type { BigFacts } from './state.js';
import type {
  CallerOptions,
  Enrolment,
  GuardServerOptions,
  LeaseFacts,
  ModelVersion,
  ServerFacts,
  UnlockOptions,
} from './types.js';
import { Unlocking } from './unlocking.js';
import { within } from './watch.js';
