/** Adds names to a device's state, one after the other. */
import { deviceIdOf } from '../../src/contract/index.js';
import { DeviceKey } from '../../src/index.js';
import { handleOf } from '../../src/keys/key.js';
import type { KeyHandle } from '../../src/native/binding.js';
import { StateFolder } from '../../src/remote/device/state-folder.js';
import { argument, tell, waitFor } from './dialogue.js';

const key = await DeviceKey.fromFile(argument(0));
const folder = new StateFolder(argument(1), handleOf(key) as KeyHandle, deviceIdOf(key.publicKey.toString()));
tell('ready');
await waitFor('go');
for (let count = 0; count < Number(argument(3)); count += 1)
  await folder.update(argument(2), (state) => ({
    ...state,
    ordinals: new Map(state.ordinals).set(`${process.pid}-${count}`, 1 + count),
  }));
tell('done');
process.exit(0);
