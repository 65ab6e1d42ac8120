/** Four attackers, what each has, and what he gets. Every one works on a copy of the store. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DeviceKey,
  decrypt,
  fileStore,
  type GuardedModel,
  load,
  protect,
  SigningKey,
  type VerifyingKey,
} from '../../src/index.js';
import { classify, confusion, openSession } from './evaluate.js';
import { forge } from './forge.js';
import type { Dataset } from './simulate.js';

export interface Scene {
  readonly folder: string;
  /** Where the publisher's model lies. */
  readonly store: string;
  readonly bigName: string;
  readonly plain: Uint8Array;
  readonly device: DeviceKey;
  readonly publisher: SigningKey;
  readonly heldOut: Dataset;
}

export interface Refusal {
  readonly who: string;
  readonly expected: readonly string[];
  run(scene: Scene): Promise<{ codes: string[]; aside?: string }>;
}

export const refusals: readonly Refusal[] = [
  {
    who: 'has the big part and the key, but no small part',
    expected: ['NOT_FOUND', 'NOT_A_CONTAINER', 'INTEGRITY_FAILED'],
    async run(scene) {
      const store = copyOf(scene, 'no-small-part');
      const big = readFileSync(join(store, 'big', scene.bigName));
      // All that he can put in its place is another small part for his key, here even one of the very same model.
      const other = join(scene.folder, 'other');
      await publish(other, scene.plain, scene, scene.publisher);
      const foreign = readFileSync(join(other, 'small', 'bearing-faults', '1'));
      rmSync(join(store, 'small'), { recursive: true });
      const anyOrigin = { identities: [scene.device], unsigned: 'accept' } as const;
      return {
        codes: [
          await codeOf(open(store, scene)),
          await codeOf(decrypt(big, anyOrigin)),
          await codeOf(decrypt(Buffer.concat([foreign, big]), anyOrigin)),
        ],
      };
    },
  },
  {
    who: 'flipped one bit of the big part',
    expected: ['INTEGRITY_FAILED'],
    async run(scene) {
      const store = copyOf(scene, 'one-bit');
      const path = join(store, 'big', scene.bigName);
      const flip = (): void => {
        const big = readFileSync(path);
        big[big.length >> 1] ^= 1;
        writeFileSync(path, big);
      };
      flip();
      const codes = [await codeOf(open(store, scene))];
      flip();
      (await open(store, scene)).dispose(); // so that it was the bit and nothing else
      return { codes, aside: 'flipped back, it loads' };
    },
  },
  {
    who: 'has both parts, but the key of another machine',
    expected: ['NO_MATCHING_IDENTITY'],
    async run(scene) {
      return { codes: [await codeOf(open(scene.store, { ...scene, device: DeviceKey.generate() }))] };
    },
  },
  {
    who: "has the machine's key and forged a model, but cannot sign it",
    expected: ['SIGNATURE_INVALID', 'SIGNATURE_MISSING'],
    async run(scene) {
      const forged = forge(scene.plain);
      const [signed, unsigned] = [join(scene.folder, 'forged'), join(scene.folder, 'forged-unsigned')];
      await publish(signed, forged, scene, SigningKey.generate());
      await publish(unsigned, forged, scene);
      const codes = [await codeOf(open(signed, scene)), await codeOf(open(unsigned, scene))];
      // Who does not ask for a signature gets the forgery: the signature is what stops it.
      const fooled = await load('bearing-faults@1', {
        from: fileStore(signed),
        identities: [scene.device],
        unsigned: 'accept',
      });
      const table = confusion(await classify(await openSession(fooled.bytes), scene.heldOut), scene.heldOut.labels);
      fooled.dispose();
      const healthy = table.reduce((sum, row) => sum + row[0], 0);
      return { codes, aside: `unasked: ${healthy} of ${scene.heldOut.count} "healthy"` };
    },
  },
];

function copyOf({ folder, store }: Scene, name: string): string {
  const copy = join(folder, name);
  cpSync(store, copy, { recursive: true });
  return copy;
}

/** Loads as the licensed machine does: with its key, and with the publisher's key pinned. */
function open(store: string, { device, publisher }: Pick<Scene, 'device' | 'publisher'>): Promise<GuardedModel> {
  const verifier: VerifyingKey = publisher.publicKey;
  return load('bearing-faults@1', { from: fileStore(store), identities: [device], verifier });
}

async function publish(store: string, model: Uint8Array, { device }: Scene, signer?: SigningKey): Promise<void> {
  const options = { name: 'bearing-faults', version: '1', recipients: [device.publicKey], to: fileStore(store) };
  const source = `${store}.onnx`;
  writeFileSync(source, model);
  await protect(source, signer ? { ...options, signer } : options);
}

/** The code of the error that a promise ends in; `NOT REFUSED` if it does not. */
export async function codeOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return 'NOT REFUSED';
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}
