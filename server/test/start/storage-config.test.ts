/** Settings of the storage. If these fail, a server may send keys or models over plain HTTP, or store them in the wrong place. */
import { describe, expect, it } from 'vitest';
import { makeCommand } from '../../src/start/command.js';
import { configure, type Settings } from '../../src/start/config.js';

const data = '/somewhere';
const production = { NODE_ENV: 'production' };

describe('a bucket', () => {
  it('is at AWS, or at an endpoint with the name in the path', () => {
    expect(configure({ data }, {}).bucket).toBeUndefined();
    expect(configure({ data, s3Bucket: 'parts' }, {}).bucket).toEqual({
      name: 'parts',
      endpoint: undefined,
      publicEndpoint: undefined,
      region: 'us-east-1',
      prefix: '',
      pathStyle: false,
      pieceBytes: 8 * 2 ** 20,
    });
    const other = { s3Endpoint: 'https://s3.internal/', s3PublicEndpoint: 'https://s3.example.com', s3Prefix: 'guard/models' };
    expect(configure({ data, s3Bucket: 'parts', ...other, s3Region: 'eu-1' }, {}).bucket).toMatchObject({
      endpoint: 'https://s3.internal',
      publicEndpoint: 'https://s3.example.com',
      region: 'eu-1',
      prefix: 'guard/models/',
      pathStyle: true,
    });
    expect(configure({ data, s3Bucket: 'parts', ...other, s3PathStyle: 'false' }, {}).bucket?.pathStyle).toBe(false);
  });

  it.each<[string, Partial<Settings>]>([
    ['a name that is none', { s3Bucket: 'A_b' }],
    ['a prefix that leads elsewhere', { s3Bucket: 'parts', s3Prefix: '../x' }],
    ['a prefix with an empty name', { s3Bucket: 'parts', s3Prefix: 'a//b' }],
    ['an endpoint with a password', { s3Bucket: 'parts', s3Endpoint: 'https://a:b@s3.example' }],
    ['an endpoint without a bucket', { s3Endpoint: 'https://s3.example' }],
    ['a prefix without a bucket', { s3Prefix: 'x' }],
    ['pieces that S3 does not take', { s3Bucket: 'parts', pieceBytes: 5 * 2 ** 20 - 1 }],
    ['larger pieces than S3 takes', { s3Bucket: 'parts', pieceBytes: 5 * 2 ** 30 + 1 }],
  ])('is refused with %s', (_what, settings) => {
    expect(() => configure({ data, ...settings }, {})).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it.each(['s3Endpoint', 's3PublicEndpoint', 'cdnUrl'] as const)(
    'in production has no %s of plain HTTP, but on this machine',
    (name) => {
      const settings = (url: string): Settings => ({ data, s3Bucket: 'parts', [name]: url });
      for (const url of ['http://s3.example', 'http://127.evil.example', 'http://10.0.0.1:9000'])
        expect(() => configure(settings(url), production)).toThrow(/plain HTTP/);
      for (const url of ['https://s3.example', 'http://127.0.0.1:9000', 'http://[::1]:9000', 'http://localhost'])
        expect(configure(settings(url), production).bucket).toBeDefined();
      expect(configure(settings('http://s3.example'), {}).bucket).toBeDefined();
    },
  );

  it('is given by flags', async () => {
    let given: Settings | undefined;
    const command = makeCommand('1.2.3', async (settings) => {
      given = settings;
    });
    const words = [
      '--s3-bucket',
      'parts',
      '--s3-endpoint',
      'https://s3.example',
      '--s3-path-style',
      'false',
      '--piece-bytes',
      '6000000',
    ];
    await command.parseAsync(['--data', data, ...words, '--cdn-url', 'https://cdn.example/x/'], { from: 'user' });
    expect(configure(given as unknown as Settings, {})).toMatchObject({
      bucket: { name: 'parts', endpoint: 'https://s3.example', pathStyle: false, pieceBytes: 6_000_000 },
      cdnUrl: 'https://cdn.example/x',
    });
  });
});
