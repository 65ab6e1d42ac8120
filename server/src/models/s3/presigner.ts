/** Signs URLs of a bucket. Nothing is sent. */
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl, S3RequestPresigner } from '@aws-sdk/s3-request-presigner';

/** When a URL is signed, and for how long; seconds. */
export interface Validity {
  readonly now: number;
  readonly seconds: number;
}
/** What a URL is good for. */
export interface Signed {
  readonly method: 'GET' | 'PUT';
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Must come along, with this value. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The client's own way takes seven times as long, and every lease waits for two URLs. */
export class Presigner {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #presigner: S3RequestPresigner;
  #base: Promise<URL> | undefined;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
    this.#presigner = new S3RequestPresigner(client.config);
  }

  /** @param wanted Its key holds nothing that an address writes in another way. */
  async sign({ method, key, query = {}, headers = {} }: Signed, { now, seconds }: Validity): Promise<string> {
    this.#base ??= this.#findBase();
    const { protocol, hostname, port, host, origin, pathname } = await this.#base;
    const path = `${pathname}${key}`;
    const request = {
      method,
      protocol,
      hostname,
      ...(port !== '' && { port: Number(port) }),
      path,
      query: { ...query },
      headers: { host, ...headers },
    };
    const signed = await this.#presigner.presign(request, { expiresIn: seconds, signingDate: new Date(now * 1000) });
    const pairs = Object.entries(signed.query ?? {}).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
    return `${origin}${path}?${pairs.join('&')}`;
  }

  /** What every key is appended to: the client knows the hosts of AWS, and where the name of the bucket stands. */
  async #findBase(): Promise<URL> {
    const url = new URL(await getSignedUrl(this.#client, new GetObjectCommand({ Bucket: this.#bucket, Key: '-' })));
    url.search = '';
    url.pathname = url.pathname.slice(0, -1);
    return url;
  }
}
