/** Makes stores from flags: a folder, a bucket, or an address of a web server. */
import type { Command } from 'commander';
import { faultOf, isError, ModelGuardError } from '../../errors.js';
import { fileStore, httpStore, type PartStore, type Stores, s3Store } from '../../index.js';

import { usage } from './common.js';

interface PlaceFlags {
  readonly s3Endpoint?: string;
  readonly s3Region?: string;
  readonly storeCa?: string;
  readonly storeMode?: string;
}
export interface StoreFlags extends PlaceFlags {
  readonly store?: string;
  readonly smallStore?: string;
  readonly bigStore?: string;
}

export const withStores = (command: Command): Command =>
  command
    .option('--store <STORE>', 'both parts: a folder, s3://bucket/prefix, or to load from https://…')
    .option('--small-store <STORE>', 'small parts, with --big-store')
    .option('--big-store <STORE>', 'big parts, with --small-store')
    .option('--s3-endpoint <URL>', 'S3 server of s3://… (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or AWS)')
    .option('--s3-region <R>', 'its region (default: AWS_REGION, or as the AWS SDK finds it)')
    .option('--store-ca <FILE>', 'certificate authority of the store, where it is an own one');

/** For commands that publish. */
export const withTarget = (command: Command): Command =>
  withStores(command).option(
    '--store-mode <MODE>',
    'permissions of new files, such as 644 (default: 600 for small parts, whose passphrases can be guessed; else the umask decides)',
  );

type Use = 'read' | 'write';

export function storesOf(flags: StoreFlags, use: Use = 'read'): Stores {
  const { store, smallStore, bigStore } = flags;
  if (store !== undefined && smallStore === undefined && bigStore === undefined) return storeOf('--store', store, flags, use);
  if (store === undefined && smallStore !== undefined && bigStore !== undefined)
    return { small: storeOf('--small-store', smallStore, flags, use), big: storeOf('--big-store', bigStore, flags, use) };
  throw usage('Give --store, or both --small-store and --big-store');
}

/** The text before `://`, or a known scheme where a slash is missing. */
const SCHEME = /^([a-z][a-z0-9+.-]*(?=:\/\/)|(?:s3|https?|file|gs|az)(?=:))/i;

/** The store that `flag` names. @throws READ_ONLY for writing to a web server */
export function storeOf(flag: string, place: string, flags: PlaceFlags, use: Use = 'read'): PartStore {
  const scheme = SCHEME.exec(place)?.[1]?.toLowerCase();
  const { storeMode } = flags;
  if (storeMode !== undefined && !/^0?6[0246]{2}$/.test(storeMode))
    throw usage(`--store-mode wants 600 to 666, not ${storeMode}`);
  if (scheme === undefined) return fileStore(place, storeMode === undefined ? {} : { mode: Number.parseInt(storeMode, 8) });
  if (storeMode !== undefined) throw usage('--store-mode is for stores in folders');
  const tls = flags.storeCa === undefined ? {} : { tls: { ca: flags.storeCa } };
  if (scheme === 's3') return withFlagName(flag, () => bucketOf(flag, place, flags, tls));
  if (scheme !== 'https' && scheme !== 'http')
    throw usage(
      `${flag}: ${scheme}: is no kind of store; give a folder (./${scheme}:… for one of that name), s3://… or https://…`,
    );
  if (!/^https?:\/\//i.test(place)) throw usage(`${flag}: an address is written https://host/path`);
  if (use === 'write')
    throw new ModelGuardError('READ_ONLY', `${flag}: a web server is only read`, {
      advice: 'Give the folder or the bucket (s3://…) that it serves.',
    });
  return withFlagName(flag, () => httpStore(place, tls));
}

function bucketOf(flag: string, place: string, { s3Endpoint, s3Region }: PlaceFlags, tls: object): PartStore {
  const [, bucket = '', prefix] = /^s3:\/\/([^/]+)(?:\/+(.+))?\/*$/i.exec(place) ?? [];
  if (bucket === '') throw usage(`${flag} ${place}: a bucket is written s3://bucket or s3://bucket/prefix`);
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION } = process.env;
  const endpoint = s3Endpoint ?? (AWS_ENDPOINT_URL_S3 || AWS_ENDPOINT_URL || undefined);
  const region = s3Region ?? (AWS_REGION || undefined);
  return s3Store({
    bucket,
    ...(prefix !== undefined && { prefix }),
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...tls,
  });
}

/** Puts the flag before errors about an address, without the address: it may hold a password. */
function withFlagName(flag: string, make: () => PartStore): PartStore {
  try {
    return make();
  } catch (error) {
    const fault = isError(error) ? faultOf(error) : undefined;
    const named = fault && PARTS[fault.option];
    throw fault && named !== null ? usage(`${flag}: ${named ?? ''}${fault.what}`) : error;
  }
}
/** Words for the parts of an address that an error names. Null: the part has a flag of its own. */
const PARTS: Readonly<Record<string, string | null>> = {
  'options.bucket': 'the bucket ',
  'options.prefix': 'the prefix ',
  'options.endpoint': null,
  'options.region': null,
};
