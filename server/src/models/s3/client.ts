/** Clients of a bucket: one for each pair of keys, and for each address where the two differ. */
import { S3Client } from '@aws-sdk/client-s3';
import type { BucketConfig } from '../../storage-config.js';
import { boundAnswers } from './bounded-answers.js';
import type { KeyPair } from './credentials.js';

/** In all, for one request. */
const ATTEMPTS = 3;
const CONNECT_MS = 5_000;
const IDLE_MS = 30_000;
/** Putting a large part together takes S3 a while. */
const REQUEST_MS = 300_000;

type Place = Pick<BucketConfig, 'region' | 'pathStyle'> & { readonly endpoint: string | undefined };

/** Nothing of the surroundings counts: neither the machine's credentials nor its variables and files that name endpoints. */
export function clientOf({ endpoint, region, pathStyle }: Place, { id, secret }: KeyPair): S3Client {
  const client = new S3Client({
    region,
    ...(endpoint !== undefined && { endpoint }),
    ignoreConfiguredEndpointUrls: true,
    forcePathStyle: pathStyle,
    credentials: { accessKeyId: id, secretAccessKey: secret },
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    // Pieces are sent to presigned URLs by clients that know nothing of S3's checksums: the tree says whether the bytes are right.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    retryMode: 'standard',
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: IDLE_MS,
      requestTimeout: REQUEST_MS,
      throwOnRequestTimeout: true,
    },
  });
  boundAnswers(client);
  return client;
}
