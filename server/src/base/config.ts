/** The server's configuration, as `start/config.ts` checks it and every room reads it. */
import { isLoopback } from '@org/model-guard/server-kit';

/** A bucket. Its keys are secrets and not part of the configuration. */
export interface BucketConfig {
  readonly name: string;
  /** Absent for AWS. */
  readonly endpoint?: string | undefined;
  /** The endpoint for clients, where it differs. */
  readonly publicEndpoint?: string | undefined;
  readonly region: string;
  /** Empty, or with a slash at the end. */
  readonly prefix: string;
  /** The name of the bucket is in the path, not in the host. */
  readonly pathStyle: boolean;
  /** Least bytes of a piece of an upload. */
  readonly pieceBytes: number;
}

/** TLS 1.3 with these files. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  /** The authority that client certificates must come from. */
  readonly clientAuthority?: string | undefined;
  /** Lists of client certificates that the authority has revoked. */
  readonly revoked?: string | undefined;
}

/** The checked configuration of a server. */
export interface Config {
  readonly dataFolder: string;
  readonly keysFolder: string;
  readonly secretsFolder: string;
  /** Allows an empty or another database for keys that belong to one already. */
  readonly newDatabase: boolean;
  /** URL of PostgreSQL; absent for a file in the data folder. It holds a password. */
  readonly databaseUrl?: string | undefined;
  readonly production: boolean;
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsFiles | undefined;
  /** Port of a plain listener that redirects to the TLS one. */
  readonly httpRedirectPort?: number | undefined;
  /** The URL that clients call, without a slash at the end; from address and port unless it was given. */
  readonly publicUrl: string;
  readonly publicUrlGiven: boolean;
  /** Networks of proxies whose `X-Forwarded-For` counts (`oneProxy`). */
  readonly trustedProxies: readonly string[];
  readonly tokens: 'eddsa' | 'hs256';
  /** Where it is off, every request is the first apiAdmin's. For development alone. */
  readonly authentication: boolean;
  readonly corsOrigins: readonly string[];
  readonly adminEmail: string;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  readonly auditAddresses: 'anonymise' | 'keep' | 'omit';
  /** Requests in a minute. */
  readonly limits: { readonly address: number; readonly account: number; readonly login: number };
  /** Connections at once; absent: as many as the descriptor limit allows, up to 4096 (`connections.ts`). */
  readonly maxConnections?: number | undefined;
  /** Connections of one network; absent: a quarter of all. */
  readonly networkConnections?: number | undefined;
  /** Bytes of request bodies and large answers that are in memory at once; a quarter for each account. */
  readonly bodyMemory: number;
  /** Bytes of big parts that an account may have, open uploads included. */
  readonly accountQuota: number;
  readonly partUrlSeconds: number;
  readonly unknownLoginRetentionDays: number;
  /** The bucket for big parts; absent: they are in the data folder. */
  readonly bucket?: BucketConfig | undefined;
  /** URL of a CDN under which `big/` lies. */
  readonly cdnUrl?: string | undefined;
}

/** Whether the server offers plain HTTP to the network, with no proxy that ends TLS. */
export const isUnprotected = ({ tls, host, trustedProxies }: Pick<Config, 'tls' | 'host' | 'trustedProxies'>): boolean =>
  !tls && !isLoopback(host) && trustedProxies.length === 0;

/** Whether other machines can reach the server: at its address, or through a proxy. */
export const isExposed = ({ host, trustedProxies }: Pick<Config, 'host' | 'trustedProxies'>): boolean =>
  !isLoopback(host) || trustedProxies.length > 0;
