/** The AWS SDK, an optional peer: fetched when a store is first used. */
import type { S3Client } from '@aws-sdk/client-s3';
import { ModelGuardError } from '../../errors.js';
import type { Timers } from '../../http/timers.js';
import { Transport } from '../../http/transport.js';
import { requestHandler } from './handler.js';
import type { S3KeyPairs, S3KeySource, S3Keys, S3StoreOptions } from './types.js';

export type Sdk = typeof import('@aws-sdk/client-s3');
export type Use = 'read' | 'write';

export interface Connected {
  readonly sdk: Sdk;
  readonly client: S3Client;
}

export const TIMEOUT_MS = 30_000;
/** What other servers than AWS's are called, where they want a region at all. */
const ANY_REGION = 'us-east-1';

type ConnectionOptions = 'endpoint' | 'region' | 'forcePathStyle' | 'credentials' | 'tls' | 'proxy' | 'timeoutMs';

export interface S3ClientSettings extends Pick<S3StoreOptions, ConnectionOptions> {
  /** Ignores the endpoints and modes that the machine's environment and files set for AWS; `region` and `credentials` are given. */
  readonly isolated?: boolean | undefined;
  /** Milliseconds in which a new connection must stand. Default: `timeoutMs`. */
  readonly connectMs?: number | undefined;
  readonly timers?: Timers | undefined;
}

const ISOLATED = {
  ignoreConfiguredEndpointUrls: true,
  useFipsEndpoint: false,
  useDualstackEndpoint: false,
  retryMode: 'standard',
} as const;

/** One client for each pair of keys, made when it is needed. */
export class S3Clients {
  readonly #settings: S3ClientSettings;
  readonly #transport: Transport;
  readonly #made = new Map<Use, Promise<Connected>>();

  constructor(settings: S3ClientSettings) {
    this.#settings = settings;
    const { endpoint, tls, proxy, timeoutMs = TIMEOUT_MS, connectMs, timers } = settings;
    const origin = endpoint === undefined ? '' : new URL(endpoint).origin;
    this.#transport = new Transport({ origin, tls, proxy, timeoutMs, connectMs, timers });
  }

  /** INVALID_ARGUMENT without the SDK, PERMISSION_DENIED without keys for this use. */
  async for(use: Use): Promise<Connected> {
    const client = this.#made.get(use) ?? this.#make(use);
    this.#made.set(use, client);
    try {
      return await client;
    } catch (error) {
      this.#made.delete(use);
      throw error;
    }
  }

  async #make(use: Use): Promise<Connected> {
    const { endpoint, region, forcePathStyle, credentials, isolated = false } = this.#settings;
    const keys = keysFor(credentials, use);
    const sdk = await loadSdk();
    const config = {
      ...(isolated && ISOLATED),
      ...(keys !== undefined && { credentials: keys }),
      ...(endpoint !== undefined && { endpoint, region: ANY_REGION }),
      ...(region !== undefined && { region }),
      forcePathStyle: forcePathStyle ?? endpoint !== undefined,
      // What is large is authenticated from end to end, and other servers do not know these checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED' as const,
      responseChecksumValidation: 'WHEN_REQUIRED' as const,
      expectContinueHeader: false,
      // Asked again by us, so that there is one bound.
      maxAttempts: 1,
      requestHandler: requestHandler(this.#transport),
    };
    return { sdk, client: new sdk.S3Client(config) };
  }

  /** Closes kept connections. */
  close(): void {
    this.#transport.close();
  }
}

async function loadSdk(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-s3');
  } catch (cause) {
    throw new ModelGuardError('INVALID_ARGUMENT', 's3Store needs the package @aws-sdk/client-s3, which is not there', {
      cause,
      advice: 'Install it beside this one: npm install @aws-sdk/client-s3',
    });
  }
}

/** As the SDK wants them: nothing is there and undefined. */
interface SdkKeys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiration?: Date;
}

/** Undefined: as the SDK finds them. */
function keysFor(given: S3StoreOptions['credentials'], use: Use): SdkKeys | (() => Promise<SdkKeys>) | undefined {
  if (given === undefined) return undefined;
  const source = isSource(given) ? given : given[use];
  if (source === undefined)
    throw new ModelGuardError('PERMISSION_DENIED', `This store was given no keys to ${use} with`, {
      advice: `Give options.credentials.${use}.`,
    });
  return typeof source === 'function' ? async () => complete(await source()) : complete(source);
}

const isSource = (given: S3KeySource | S3KeyPairs): given is S3KeySource => typeof given === 'function' || 'accessKeyId' in given;

/** A copy: what a callback gives may have more, and may be anything. */
function complete(keys: S3Keys | undefined | null): SdkKeys {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = keys ?? ({} as Partial<S3Keys>);
  if (typeof accessKeyId === 'string' && accessKeyId !== '' && typeof secretAccessKey === 'string' && secretAccessKey !== '')
    return {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      ...(expiration !== undefined && { expiration }),
    };
  throw new ModelGuardError('INVALID_ARGUMENT', 'options.credentials: the callback gives no accessKeyId and secretAccessKey');
}
