/** Every secret that opening or making one container brings forth, derived independently of the SDK. */
import { must } from './bytes.js';
import { openHeader } from './container.js';
import { coreHash } from './core.js';
import { type Header, macKey, SLOT } from './header.js';
import { deriveKeys, payloadContext } from './payload.js';
import { digest, hkdfExtract, hpkeSecrets, scrypt } from './primitives.js';
import { slotInfo, wrappingKey } from './slots.js';

export interface LongTermKeys {
  readonly master: Uint8Array;
  /** X25519 private key ‖ Ed25519 seed. */
  readonly device: Uint8Array;
  readonly signing: Uint8Array;
  readonly passphrase: Uint8Array;
}

/** Long-term secrets, as they are and as Ed25519 expands them before it signs. */
export function longTermSecrets(keys: LongTermKeys): ReadonlyMap<string, Uint8Array> {
  const expanded = digest('sha512', keys.signing);
  return new Map([
    ['master key', keys.master],
    ['device X25519 private key', keys.device.slice(0, 32)],
    ['device Ed25519 seed', keys.device.slice(32)],
    ['publisher Ed25519 seed', keys.signing],
    ['publisher Ed25519 prefix', expanded.slice(32)],
    ['passphrase', keys.passphrase],
  ]);
}

function slotSecrets(header: Header, keys: LongTermKeys): Map<string, Uint8Array> {
  const hash = coreHash(header.core);
  const found = new Map<string, Uint8Array>();
  for (const { type, body } of header.slots) {
    if (type === SLOT.x25519) {
      const secrets = hpkeSecrets(body.slice(0, 32), keys.device.slice(0, 32), slotInfo('x25519', hash));
      found.set('HPKE Diffie-Hellman result', secrets.dh).set('HPKE extracted key', secrets.extracted);
      found.set('HPKE shared secret', secrets.sharedSecret).set('HPKE secret', secrets.secret).set('HPKE key', secrets.key);
    }
    if (type === SLOT.master) {
      const salt = body.slice(0, 32);
      found.set('extracted key of the master slot', hkdfExtract('sha384', salt, keys.master));
      found.set('wrapping key of the master slot', wrappingKey('master', keys.master, salt, hash));
    }
    if (type === SLOT.passphrase) {
      const salt = body.slice(0, 16);
      const stretched = scrypt(keys.passphrase, salt, body[16] ?? 0);
      found.set('scrypt output', stretched).set('extracted key of the passphrase slot', hkdfExtract('sha384', salt, stretched));
      found.set('wrapping key of the passphrase slot', wrappingKey('passphrase', stretched, salt, hash));
    }
  }
  return found;
}

export function containerSecrets(container: Uint8Array, keys: LongTermKeys): ReadonlyMap<string, Uint8Array> {
  const { header, dataKey } = openHeader(container, [{ master: keys.master }]);
  const salt = container.slice(header.length, header.length + 24);
  const payload = deriveKeys(dataKey, salt, payloadContext(coreHash(header.core)));
  must(header.slots.length === 3, 'a container with a slot of each kind shows every secret');
  return new Map([
    ...longTermSecrets(keys),
    ...slotSecrets(header, keys),
    ['data key', dataKey],
    ['payload key', payload.key],
    ['mac key', macKey(dataKey)],
  ]);
}
