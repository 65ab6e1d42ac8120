export { Hardware, hardware } from './hardware.js';
export { PublicKey, SecretKey } from './key.js';
export { passphrase } from './passphrase.js';
export { DevicePublicKey, VerifyingKey } from './public.js';
export { DeviceKey, MasterKey, Passphrase, SigningKey } from './secret.js';
