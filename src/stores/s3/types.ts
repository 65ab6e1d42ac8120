/** The options of an S3 store. `options.ts` checks the same shapes at run time; test/types.test.ts keeps them equal. */
import type { TlsSource } from '../../http/tls.js';

/** A pair of keys of an S3 server. */
export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary keys. */
  readonly sessionToken?: string | undefined;
  /** When they end: a callback is then asked anew. */
  readonly expiration?: Date | undefined;
}

/** Keys, or a callback that gives them, such as the AWS SDK's providers. */
export type S3KeySource = S3Keys | (() => Promise<S3Keys>);

/** One pair to read with and one to write with. Without one of them this store does not do the one or the other. */
export interface S3KeyPairs {
  readonly read?: S3KeySource | undefined;
  readonly write?: S3KeySource | undefined;
}

/** Options of {@link s3Store}. */
export interface S3StoreOptions {
  readonly bucket: string;
  /** The folder in the bucket, such as `models/production`. Default: the bucket itself. */
  readonly prefix?: string | undefined;
  /** Default: as the AWS SDK finds it (AWS_REGION, profile); `us-east-1` where there is an `endpoint`. */
  readonly region?: string | undefined;
  /** `https://…` of another S3 server than AWS; `http://` for this machine alone. */
  readonly endpoint?: string | undefined;
  /** Whether the bucket stands in the path of addresses, not in the name of the host. Default: where there is an `endpoint`. */
  readonly forcePathStyle?: boolean | undefined;
  /** For everything, or apart. Default: as the AWS SDK finds them (environment, profile, role). */
  readonly credentials?: S3KeySource | S3KeyPairs | undefined;
  /** Bytes of one piece of an upload, 5 MiB to 1 GiB; parts of more than 10,000 pieces get larger ones. Default: 8 MiB. */
  readonly pieceBytes?: number | undefined;
  /** Requests at once for one part, 1 to 16. An upload holds one piece more than these in memory. Default: 4 to upload, 6 to load. */
  readonly connections?: number | undefined;
  /** How long an answer may take, and a stream be silent, in milliseconds. Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * How long an unreferenced big part or an unfinished upload stays, in milliseconds: readers that still use a replaced version
   * finish meanwhile. Default: 24 hours.
   */
  readonly graceMs?: number | undefined;
  /** An own certificate authority, a client certificate: paths of PEM files, or their text. TLS 1.3 is always verified. Files that change are read again. */
  readonly tls?: TlsSource | undefined;
  /**
   * The URL of an HTTP proxy for every address, with `USER:PASSWORD@` where it asks for them; `false`: none. Default: HTTPS_PROXY, HTTP_PROXY
   * for plain HTTP, and NO_PROXY, in lower or upper case. TLS goes through a tunnel, from end to end.
   */
  readonly proxy?: string | false | undefined;
}
