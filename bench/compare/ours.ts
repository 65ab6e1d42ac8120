/** This package: loading, with and without a verifier, and protecting. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeviceKey, fileStore, type LoadOptions, load, protect, SigningKey, useNativeAddon, versions } from '../../src/index.js';
import { type Place, type Subject, timed } from './subject.js';

const WARM = 'warm@1';
export const MODEL = 'model@1';

const prebuilt = fileURLToPath(new URL(`../../prebuilds/${process.platform}-${process.arch}`, import.meta.url));

/** The addon of a release, with its own OpenSSL, where it was made; otherwise the one that was compiled here. */
export const ADDON = chooseAddon();

function chooseAddon(): string {
  const made = existsSync(prebuilt) ? readdirSync(prebuilt).find((name) => name.endsWith('.node')) : undefined;
  if (made !== undefined) useNativeAddon(path.join(prebuilt, made));
  const { version, from } = versions().openssl;
  return from === 'own' ? `the prebuild, OpenSSL ${version}` : `compiled here, OpenSSL ${version} of Node`;
}

const storeOf = ({ folder }: Place) => fileStore(path.join(folder, 'store'));
const keyOf = ({ folder }: Place, name: string) => path.join(folder, `${name}.key`);

/** The store that all loads read from, and the keys. */
export async function prepareStore(place: Place): Promise<void> {
  mkdirSync(place.folder, { recursive: true });
  const [device, signer] = [DeviceKey.generate(), SigningKey.generate()];
  await device.save(keyOf(place, 'device'));
  await signer.save(keyOf(place, 'publisher'));
  const warm = path.join(place.folder, 'warm.bin');
  writeFileSync(warm, new Uint8Array(2 ** 20));
  for (const [source, name] of [
    [warm, 'warm'],
    [place.plain, 'model'],
  ] as const)
    await protect(source, { name, version: '1', recipients: [device], signer, to: storeOf(place) });
}

export async function openingOf(place: Place) {
  const { publicKey } = await SigningKey.fromFile(keyOf(place, 'publisher'));
  return {
    from: storeOf(place),
    identities: [await DeviceKey.fromFile(keyOf(place, 'device'))],
    verifier: publicKey.toString(),
  };
}
type Opening = Awaited<ReturnType<typeof openingOf>>;

const loading = (name: string, optionsOf: (opening: Opening) => LoadOptions): Subject => ({
  name,
  kind: 'load',
  start: async (place) => {
    const options = optionsOf(await openingOf(place));
    (await load(WARM, options)).dispose();
    return timed(() => load(MODEL, options));
  },
});

const protecting: Subject = {
  name: 'model-guard protect, signed',
  kind: 'protect',
  start: async (place) => {
    const device = await DeviceKey.fromFile(keyOf(place, 'device'));
    const signer = await SigningKey.fromFile(keyOf(place, 'publisher'));
    const target = path.join(place.folder, 'protected');
    rmSync(target, { recursive: true, force: true });
    const options = { version: '1', recipients: [device], signer, to: fileStore(target) };
    await protect(path.join(place.folder, 'warm.bin'), { ...options, name: 'warm' });
    return timed(() => protect(place.plain, { ...options, name: 'model' }));
  },
};

/** Bytes that are read of a lazy model: as many as a tensor of ordinary size has. */
const PIECE = 2 ** 20;

const lazyRead: Subject = {
  name: 'model-guard load, verified and lazy, 1 MiB of it',
  kind: 'piece',
  start: async (place) => {
    const options: LoadOptions = { ...(await openingOf(place)), lazy: true };
    (await load(WARM, options)).dispose();
    return timed(async () => {
      await using model = await load(MODEL, options);
      return await model.read(Math.floor((place.bytes - PIECE) / 2), PIECE);
    });
  },
};

/** Loads of this many are timed together, since one is too short. */
const LOADS = 20;

const latency: readonly Subject[] = [
  {
    name: 'model-guard, first load of the process',
    kind: 'latency',
    start: async (place) => {
      const options = await openingOf(place);
      return timed(() => load(MODEL, options));
    },
  },
  {
    name: 'model-guard, later loads',
    kind: 'latency',
    start: async (place) => {
      const options = await openingOf(place);
      (await load(MODEL, options)).dispose();
      return async () => {
        const started = performance.now();
        for (let i = 0; i < LOADS; i++) (await load(MODEL, options)).dispose();
        return { seconds: (performance.now() - started) / 1000 / LOADS };
      };
    },
  },
];

export const ourSubjects: readonly Subject[] = [
  loading('model-guard load, unsigned accepted', ({ verifier: _, ...opening }) => ({ ...opening, unsigned: 'accept' })),
  loading('model-guard load, verified', (opening) => opening),
  loading('model-guard load, verified, as a path', (opening) => ({ ...opening, as: 'path' })),
  lazyRead,
  protecting,
  ...latency,
];
