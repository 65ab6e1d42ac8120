/** Chooses the proxy for an address, by an option or by HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
import { BlockList, isIP } from 'node:net';
import { ModelGuardError } from '../errors.js';
import { isLoopback, parseAddress } from './address.js';

/** `false`: none, whatever the environment says. A URL: that one for every address. */
export type ProxyOption = string | false;
type Environment = Readonly<Record<string, string | undefined>>;

/** A proxy. Its user name and password are in no property, so that no log and no error shows them. */
export class HttpProxy {
  readonly url: URL;
  /** Names the option or the variable that chose it. */
  readonly source: string;
  readonly #credentials: string;

  /** @throws INVALID_ARGUMENT, without the text: it may hold a password */
  constructor(text: string, source: string) {
    const url = parseAddress(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
    if (url?.protocol !== 'http:' || url.hostname === '')
      throw new ModelGuardError('INVALID_ARGUMENT', `${source} is not the URL of an HTTP proxy`, {
        advice:
          'Give http://HOST:PORT, with USER:PASSWORD@ before the host where it asks for them; TLS goes through it all the same.',
      });
    this.#credentials = decoded(url, source);
    url.username = '';
    url.password = '';
    this.url = url;
    this.source = source;
  }

  get headers(): Readonly<Record<string, string>> {
    if (this.#credentials === '') return {};
    return { 'proxy-authorization': `Basic ${Buffer.from(this.#credentials).toString('base64')}` };
  }

  get hasCredentials(): boolean {
    return this.#credentials !== '';
  }

  toString(): string {
    return `${this.url.origin} (${this.source})`;
  }
}

function decoded({ username, password }: URL, source: string): string {
  if (username === '' && password === '') return '';
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    throw new ModelGuardError('INVALID_ARGUMENT', `The user name or the password in ${source} is not percent-encoded UTF-8`);
  }
}

/** The proxy of the option; `false` for none, undefined where the environment decides. INVALID_ARGUMENT */
export const chosenProxy = (option: ProxyOption | undefined): HttpProxy | false | undefined =>
  typeof option === 'string' ? new HttpProxy(option, 'options.proxy') : option;

/**
 * The proxy for `target`; undefined: the direct way.
 * @throws INVALID_ARGUMENT for a variable that is no proxy's URL, and where plain HTTP to this machine would leave it
 */
export function proxyFor(
  target: URL,
  chosen: HttpProxy | false | undefined,
  environment: Environment = process.env,
): HttpProxy | undefined {
  const proxy = (chosen ?? proxyOfEnvironment(target, environment)) || undefined;
  if (proxy && target.protocol === 'http:' && isLoopback(target.hostname) && !isLoopback(proxy.url.hostname))
    throw new ModelGuardError('INVALID_ARGUMENT', `${target.origin} would leave this machine unencrypted, through ${proxy}`, {
      advice: `Go there directly: NO_PROXY=${target.hostname} (or proxy: false, --no-proxy).`,
    });
  return proxy;
}

function proxyOfEnvironment(target: URL, environment: Environment): HttpProxy | undefined {
  const name = target.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const source = [name, name.toUpperCase()].find((one) => environment[one]);
  const text = source === undefined ? undefined : environment[source];
  if (source === undefined || text === undefined) return undefined;
  return isExempt(target, environment.no_proxy || environment.NO_PROXY || '') ? undefined : new HttpProxy(text, source);
}

/** Whether a list as in NO_PROXY names `target`: hosts and domains, addresses and networks, each with or without a port; `*`. */
export function isExempt(target: URL, list: string): boolean {
  const host = withoutBrackets(target.hostname).replace(/\.$/, '');
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry === '*' || names(entry, host, port));
}

function names(entry: string, host: string, port: string): boolean {
  const [, name = '', only] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? [undefined, entry];
  if (only !== undefined && only !== port) return false;
  const plain = withoutBrackets(name);
  const [address = '', bits] = plain.split('/');
  if (isIP(address) !== 0) return isWithin(host, address, bits);
  // `.example.com` and `*.example.com` name the domain itself too, as curl has it.
  const domain = plain.replace(/^\*?\.?/, '').replace(/\.$/, '');
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}

function isWithin(host: string, address: string, bits: string | undefined): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  const longest = family === 'ipv6' ? 128 : 32;
  const prefix = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (isIP(host) !== isIP(address) || !(prefix <= longest)) return false;
  const network = new BlockList();
  network.addSubnet(address, prefix, family);
  return network.check(host, family);
}

const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, '');
