/** Signs URLs of a bucket without any request. */
import { getSignedUrl, S3RequestPresigner } from '@aws-sdk/s3-request-presigner';
import type { S3Clients } from '@org/model-guard/server-kit';

/** The time of a signature and its lifetime, in seconds. */
export interface Validity {
  readonly now: number;
  readonly seconds: number;
}
/** The request that a URL allows. */
export interface PresignedUrl {
  readonly method: 'GET' | 'PUT';
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  /** A header that the request must carry with this value. */
  readonly headers?: Readonly<Record<string, string>>;
}

interface Signing {
  readonly presigner: S3RequestPresigner;
  /** The URL before the key. */
  readonly base: URL;
}

/** The SDK's own signing takes seven times as long, and every lease waits for two URLs. */
export class Presigner {
  readonly #clients: S3Clients;
  readonly #use: 'read' | 'write';
  readonly #bucket: string;
  #signing: Promise<Signing> | undefined;

  constructor(clients: S3Clients, use: 'read' | 'write', bucket: string) {
    this.#clients = clients;
    this.#use = use;
    this.#bucket = bucket;
  }

  /** @param wanted Its key holds no character that needs escaping in a URL. */
  async sign({ method, key, query = {}, headers = {} }: PresignedUrl, { now, seconds }: Validity): Promise<string> {
    this.#signing ??= this.#prepare();
    const { presigner, base } = await this.#signing;
    const { protocol, hostname, port, host, origin, pathname } = base;
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
    const signed = await presigner.presign(request, { expiresIn: seconds, signingDate: new Date(now * 1000) });
    const pairs = Object.entries(signed.query ?? {}).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
    return `${origin}${path}?${pairs.join('&')}`;
  }

  /** The SDK finds the URL: it knows the hosts of AWS, and the place of the bucket's name. */
  async #prepare(): Promise<Signing> {
    const { client, sdk } = await this.#clients.for(this.#use);
    const base = new URL(await getSignedUrl(client, new sdk.GetObjectCommand({ Bucket: this.#bucket, Key: '-' })));
    base.search = '';
    base.pathname = base.pathname.slice(0, -1);
    return { presigner: new S3RequestPresigner(client.config), base };
  }
}
