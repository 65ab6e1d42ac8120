/** The addon against callers that bypass the SDK: if these fail, a script can crash the process or forge a handle. */
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import type { NativeBinding } from '../../src/native/binding.js';
import { projectRoot } from '../support/shared.js';

const require = createRequire(import.meta.url);
const native = (require('node-gyp-build') as (folder: string) => NativeBinding)(projectRoot);
const thrownBy = (task: () => unknown): unknown => {
  try {
    task();
  } catch (error) {
    return error;
  }
  return 'nothing';
};
const REFUSED = expect.objectContaining({ code: 'INVALID_ARGUMENT' });

describe('handles', () => {
  const key = native.generateKey('master');
  const request = {
    name: 'm',
    version: '1',
    format: 'onnx',
    created: '2026-01-01T00:00:00Z',
    inputs: [{ path: 'm', bytes: new Uint8Array(3) }],
    recipients: [{ key }],
  };

  it('cannot be made by scripts', async () => {
    const handles = [key, native.control(), await native.seal(request)];
    for (const handle of handles) {
      const Handle = (handle as object).constructor as new (...args: unknown[]) => unknown;
      expect(() => new Handle()).toThrow('Illegal constructor');
      expect(() => new Handle(handle)).toThrow('Illegal constructor');
    }
  });

  it('are not taken for one another', async () => {
    const sealer = await native.seal(request);
    for (const wrong of [{}, native.control(), sealer, Object.create(key as object), undefined, 7])
      expect(thrownBy(() => native.keyType(wrong as typeof key))).toEqual(REFUSED);
    const next = Object.getPrototypeOf(sealer).next as () => unknown;
    for (const wrong of [{}, key, native.control()]) expect(() => next.call(wrong)).toThrow();
  });

  it('refuse paths that the system would cut at a NUL character', async () => {
    expect(thrownBy(() => native.readKeyFile('/tmp/a\0b'))).toEqual(REFUSED);
    expect(thrownBy(() => native.seal({ ...request, inputs: [{ path: 'm', onDisk: '' }] }))).toEqual(REFUSED);
  });

  it('refuse a control that a call in flight already has', async () => {
    const control = native.control();
    const [first, second] = [await native.seal(request), await native.seal(request)];
    const running = first.next(1, 56, { control });
    expect(thrownBy(() => second.next(1, 56, { control }))).toEqual(REFUSED);
    await running;
    await second.next(1, 56, { control });
  });

  it('encrypt nothing after they were closed', async () => {
    const sealer = await native.seal(request);
    sealer.close();
    sealer.close();
    await expect(sealer.next(1, 56, {})).rejects.toEqual(REFUSED);
    await expect(sealer.finish()).rejects.toEqual(REFUSED);
  });
});
