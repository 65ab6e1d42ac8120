/** The configuration, and the settings that production refuses. If these fail, a server may run open to the network. */
import { describe, expect, it } from 'vitest';
import { makeCommand } from '../../src/start/command.js';
import { configure, type Settings } from '../../src/start/config.js';

const data = '/somewhere';
const production = { NODE_ENV: 'production' };

describe('configure', () => {
  it('listens on this machine alone unless told otherwise', () => {
    expect(configure({ data }, {})).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      publicUrl: 'http://127.0.0.1:8080',
      authentication: true,
      corsOrigins: [],
      trustedProxies: [],
      tokens: 'eddsa',
      production: false,
    });
    expect(configure({ data, tlsCert: 'a', tlsKey: 'b' }, {})).toMatchObject({ port: 8443, publicUrl: 'https://127.0.0.1:8443' });
    expect(configure({ data, host: '::1', port: 1 }, {}).publicUrl).toBe('http://[::1]:1');
    expect(configure({ data, publicUrl: 'https://guard.example.com/api/' }, {}).publicUrl).toBe('https://guard.example.com/api');
  });

  it('bounds requests, addresses of parts, and how long log-ins of unknown addresses can be read', () => {
    expect(configure({ data }, {})).toMatchObject({
      limits: { address: 600, account: 600, login: 20 },
      partUrlSeconds: 300,
      unknownLoginRetentionDays: 30,
      auditAddresses: 'anonymise',
      adminEmail: 'admin@localhost',
      secretsFolder: '/run/secrets',
      keysFolder: '/somewhere/keys',
      logLevel: 'info',
    });
  });

  it.each<[string, Settings]>([
    ['a port that is none', { data, port: 'x' as unknown as number }],
    ['a port that is too high', { data, port: 65_536 }],
    ['a certificate without a key', { data, tlsCert: 'a' }],
    ['client certificates without TLS', { data, clientCa: 'a' }],
    ['revoked certificates without their authority', { data, tlsCert: 'a', tlsKey: 'b', clientCrl: 'c' }],
    ['a redirect without TLS', { data, httpRedirectPort: 80 }],
    ['a public URL of another kind', { data, publicUrl: 'ftp://example.com' }],
    ['a public URL with a password', { data, publicUrl: 'https://a:b@example.com' }],
    ['any origin', { data, corsOrigin: ['*'] }],
    ['an origin with a path', { data, corsOrigin: ['https://example.com/x'] }],
    ['a way of signing tokens that does not exist', { data, tokens: 'none' as 'eddsa' }],
    ['no limit', { data, loginLimit: 0 }],
    ['a network where everybody is an administrator', { data, authentication: false, host: '0.0.0.0' }],
    ['a proxy that is no network', { data, behindProxy: 'guard.example.com' }],
    ['a proxy to a server where everybody is an administrator', { data, authentication: false, behindProxy: true }],
    ['a setting that does not exist', { data, autentication: false } as Settings],
  ])('refuses %s', (_what, settings) => {
    expect(() => configure(settings, {})).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => configure(settings, {})).not.toThrow(/invalid|expected|received|\?:/i);
  });

  it.each<[string, Settings]>([
    ['The setting port: wants a number', { data, port: 'x' as unknown as number }],
    ['The setting publicUrl: is no http:// or https:// URL', { data, publicUrl: 'guard.example.com' }],
    [`The setting tokens: wants "eddsa" or "hs256"`, { data, tokens: 'none' as 'eddsa' }],
    ['The setting loginLimit: wants at least 1', { data, loginLimit: 0 }],
    ['The setting autentication: is not known', { data, autentication: false } as Settings],
  ])('says in plain words: %s', (message, settings) => {
    expect(() => configure(settings, {})).toThrow(message);
  });

  it('refuses in production what suits only development', () => {
    expect(() => configure({ data, authentication: false }, production)).toThrow(/without authentication/);
    expect(() => configure({ data }, { ...production, MODEL_GUARD_NO_AUTHENTICATION: '1' })).toThrow(/without authentication/);
    expect(() => configure({ data, host: '0.0.0.0' }, production)).toThrow(/plain HTTP/);
    expect(() => configure({ data, host: '::' }, production)).toThrow(/plain HTTP/);
    expect(() => configure({ data, host: 'guard.example.com' }, production)).toThrow(/plain HTTP/);
    expect(() => configure({ data, host: '127.evil.example' }, production)).toThrow(/plain HTTP/);
    expect(configure({ data }, production).production).toBe(true);
    for (const behindProxy of [true, 'true', '1'])
      expect(() => configure({ data, host: '0.0.0.0', behindProxy }, production)).toThrow(/believes no unnamed proxy/);
    expect(configure({ data, host: '0.0.0.0', behindProxy: '10.1.2.3/32, fd00::/8' }, production).trustedProxies).toEqual([
      '10.1.2.3/32',
      'fd00::/8',
    ]);
    expect(configure({ data, host: '0.0.0.0', tlsCert: 'a', tlsKey: 'b' }, production).tls).toBeDefined();
  });

  it('switches authentication off only for a word that says so', () => {
    const withWord = (word: string) => configure({ data }, { MODEL_GUARD_NO_AUTHENTICATION: word }).authentication;
    expect([withWord('true'), withWord('1'), withWord('0'), withWord('false'), withWord('')]).toEqual([
      false,
      false,
      true,
      true,
      true,
    ]);
    expect(() => withWord('nope')).toThrow(/neither/);
  });
});

describe('the command line', () => {
  const parse = async (...words: string[]): Promise<Settings> => {
    let given: Settings | undefined;
    const command = makeCommand('1.2.3', async (settings) => {
      given = settings;
    });
    await command.parseAsync(words, { from: 'user' });
    if (!given) throw new Error('was not run');
    return given;
  };

  it('gives every flag to configure()', async () => {
    const settings = await parse(
      ...['--data', '/d', '--port', '1', '--cors-origin', 'https://a.example', '--cors-origin', 'https://b.example'],
      ...['--behind-proxy', '--tokens', 'hs256', '--address-limit', '7', '--public-url', 'https://x.example'],
    );
    expect(configure(settings, {})).toMatchObject({
      port: 1,
      corsOrigins: ['https://a.example', 'https://b.example'],
      authentication: true,
      trustedProxies: ['loopback', 'linklocal', 'uniquelocal'],
      tokens: 'hs256',
      publicUrl: 'https://x.example',
      limits: { address: 7 },
    });
    expect(configure(await parse('--data', '/d', '--no-authentication'), {})).toMatchObject({ authentication: false });
  });

  const refusal = async (...words: string[]): Promise<string> => {
    let said = '';
    const command = makeCommand('1.2.3', async () => {});
    const writeErr = (text: string): void => {
      said += text;
    };
    for (const one of [command, ...command.commands]) one.configureOutput({ writeErr });
    await expect(command.parseAsync(words, { from: 'user' })).rejects.toMatchObject({
      code: expect.stringMatching(/^commander\./),
    });
    return said;
  };

  it('names a flag whose value is missing, and the word that is one too many', async () => {
    expect(await refusal('--data', '--port', '1')).toMatch(/^error: --data wants a value, and --port follows\./);
    expect(await refusal('key', '--data', '--json')).toMatch(/^error: --data wants a value, and --json follows\./);
    expect(await refusal('--data', '/srv/my', 'data')).toMatch(/"data" is one more\. If it belongs to the value of --data, put/);
    expect(await refusal('--file', 'x')).toMatch(/unknown option '--file'/);
  });

  it('names a flag that it does not know before one that is missing, also one of another command', async () => {
    expect(await refusal('--prot', '1')).toMatch(/'--prot'\n.*--port/);
    expect(await refusal('reset-password', '--emial', 'x')).toMatch(/'--emial'\n.*--email/);
    expect(await refusal('reset-password', '--data', 'x', '--version')).toMatch(/'--version'/);
    expect(await refusal('key', '--data', 'x', '--port', '1')).toMatch(/'--port'/);
    expect(await refusal('key')).toMatch(/--data/);
    expect(await refusal('kye', '--data', 'x')).toMatch(/too many arguments/);
  });

  it('takes the settings of a command before and after its name', async () => {
    const given: Settings[] = [];
    const showKey = async (settings: Settings): Promise<void> => void given.push(settings);
    for (const words of [
      ['--data', '/d', '--keys-folder', '/k', 'key'],
      ['--data', '/other', 'key', '--data', '/d', '--keys-folder', '/k'],
    ])
      await makeCommand('1.2.3', async () => {}, { showKey }).parseAsync(words, { from: 'user' });
    const places = given.map((settings) => configure(settings, {})).map(({ dataFolder, keysFolder }) => [dataFolder, keysFolder]);
    expect(places).toEqual([
      ['/d', '/k'],
      ['/d', '/k'],
    ]);
  });

  it('names a variable for every flag, and shows an example', () => {
    const command = makeCommand('1.2.3', async () => {});
    let help = '';
    const writeOut = (text: string): void => {
      help += text;
    };
    command.configureOutput({ writeOut }).outputHelp();
    expect(help).toContain('npx model-guard-server --data ./guard-data');
    for (const { long, envVar } of command.options)
      if (long !== '--version' && long !== '--no-authentication')
        expect(envVar, long).toBe(`MODEL_GUARD_${long?.slice(2).replaceAll('-', '_').toUpperCase()}`);
  });
});
