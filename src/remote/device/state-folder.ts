/**
 * The sealed files of a device, `<device id>/<server id>.<generation>`. A change is a new generation, which one process alone can
 * create: no lock, and never half a file. A crash leaves at most a sealed temporary file, which is never read.
 */
import { randomInt } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unhex } from '../../base/bytes.js';
import { hasCode, ModelGuardError } from '../../errors.js';
import { readBounded, removeQuietly, withFileErrors, writeAll, writeWhole } from '../../files/files.js';
import { makePrivateFolder } from '../../files/private-folder.js';
import { userFolder } from '../../files/user-folder.js';
import type { KeyHandle } from '../../native/binding.js';
import { call } from '../../native/index.js';
import { NOTHING, readState, type State, writeState } from './state.js';

const FILE = /^([0-9a-f]{32})\.([0-9]{1,15})$/;
/** The largest state, nonce and tag. */
const MAX_FILE = 16 * 1024 * 1024 + 28;
const ATTEMPTS = 200;
const PAUSE_MS = 20;

const ADVICE =
  'Name a folder that this user can write to: options.state, --state-folder of the command, or the variable XDG_STATE_HOME.';

/** Where states are kept unless the caller says otherwise. INVALID_ARGUMENT where there is no home folder. */
export function defaultFolder(): string {
  const folder = userFolder('XDG_STATE_HOME');
  if (folder !== undefined) return folder;
  throw new ModelGuardError('INVALID_ARGUMENT', 'There is no home folder to keep what this device remembers in', {
    advice: ADVICE,
  });
}

interface StoredState {
  readonly state: State;
  readonly generation: number;
}

export class StateFolder {
  readonly #folder: string;
  readonly #key: KeyHandle;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(folder: string, key: KeyHandle, deviceId: string) {
    this.#folder = join(folder, deviceId);
    this.#key = key;
  }

  /** The server that had this signing key, and its state. */
  async find(key: string): Promise<{ readonly server: string; readonly state: State } | undefined> {
    for (const server of new Set((await this.#entries()).map((entry) => entry.server))) {
      const state = await this.read(server);
      if (state.keys.includes(key)) return { server, state };
    }
    return undefined;
  }

  async read(server: string): Promise<State> {
    return (await this.#newest(server)).state;
  }

  /**
   * Applies `change` to what is there, also when another process changes it at the same time. It may be applied twice: it says what is to be, not
   * what is to be added.
   */
  update(server: string, change: (state: State) => State): Promise<State> {
    const updated = this.#queue.then(() => this.#update(server, change));
    this.#queue = updated.catch(() => undefined);
    return updated;
  }

  async #update(server: string, change: (state: State) => State): Promise<State> {
    for (let count = 0; count < ATTEMPTS; count += 1) {
      const { state, generation } = await this.#newest(server);
      const next = change(state);
      if (await this.#write(server, generation + 1, next)) return next;
      await new Promise((resolve) => setTimeout(resolve, randomInt(PAUSE_MS)));
    }
    throw new ModelGuardError('IO_FAILED', `Other processes keep changing ${this.#path(server, 'N')}`);
  }

  /** False if another process was faster. */
  async #write(server: string, generation: number, state: State): Promise<boolean> {
    const plain = writeState(state);
    const sealed = call((native) => native.sealState(this.#key, unhex(server), plain));
    plain.fill(0);
    await this.#make();
    const path = this.#path(server, generation);
    try {
      await writeWhole(path, (handle) => writeAll(handle, sealed), { overwrite: false });
    } catch (error) {
      if (hasCode(error, 'ALREADY_EXISTS')) return false;
      throw error;
    }
    const others = (await this.#entries()).filter((entry) => entry.server === server && entry.generation !== generation);
    // This name may have been free again because newer ones are there already; or one was made from this one just now.
    if (others.some((entry) => entry.generation > generation)) {
      await removeQuietly(path);
      return false;
    }
    await Promise.all(others.map((entry) => removeQuietly(this.#path(server, entry.generation))));
    return true;
  }

  async #make(): Promise<void> {
    try {
      await makePrivateFolder(this.#folder);
    } catch (cause) {
      if (!hasCode(cause, 'PERMISSION_DENIED') && !hasCode(cause, 'READ_ONLY')) throw cause;
      throw new ModelGuardError(cause.code, `What this device remembers cannot be kept in ${this.#folder}`, {
        cause,
        advice: ADVICE,
      });
    }
  }

  async #newest(server: string): Promise<StoredState> {
    for (;;) {
      const generations = (await this.#entries()).filter((entry) => entry.server === server).map((entry) => entry.generation);
      if (generations.length === 0) return { state: NOTHING, generation: 0 };
      const generation = Math.max(...generations);
      try {
        return { state: await this.#open(server, generation), generation };
      } catch (error) {
        // Replaced meanwhile: there is a newer one.
        if (!hasCode(error, 'NOT_FOUND')) throw error;
      }
    }
  }

  async #open(server: string, generation: number): Promise<State> {
    const path = this.#path(server, generation);
    const sealed = await readBounded(path, MAX_FILE);
    let plain: Uint8Array;
    try {
      plain = call((native) => native.openState(this.#key, unhex(server), sealed));
    } catch (cause) {
      throw new ModelGuardError('INTEGRITY_FAILED', `${path} is not what this device wrote`, {
        cause,
        advice:
          'Find out who changed it. Without it this device begins anew: leases, newest versions and time seen are forgotten.',
      });
    }
    const state = readState(plain);
    plain.fill(0);
    return state;
  }

  async #entries(): Promise<{ readonly server: string; readonly generation: number }[]> {
    let names: string[];
    try {
      names = await withFileErrors('Cannot list', this.#folder, () => readdir(this.#folder));
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return [];
      throw error;
    }
    return names.flatMap((name) => {
      const [, server, generation] = FILE.exec(name) ?? [];
      return server === undefined ? [] : [{ server, generation: Number(generation) }];
    });
  }

  #path(server: string, generation: number | string): string {
    return join(this.#folder, `${server}.${generation}`);
  }
}
