/**
 * The newest token of a device at a server, `<device id>/<server id>.token`, sealed as its state is: the processes of a machine log in once
 * together. Where the file or the folder cannot be used, a log-in takes its place.
 */
import { randomInt } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { unhex } from '../../base/bytes.js';
import { text } from '../../base/schemas.js';
import { shapes } from '../../contract/index.js';
import { readBounded, writeAll, writeWhole } from '../../files/files.js';
import { makePrivateFolder } from '../../files/private-folder.js';
import type { KeyHandle } from '../../native/binding.js';
import { call } from '../../native/index.js';
import { isUsable, type LogIn, type Token } from '../session.js';
import type { Trust } from '../trust.js';

const FILE = /^([0-9a-f]{32})\.token$/;
const LOCK = 'token.lock';
/** A token, an address and a key, sealed. */
const MAX_FILE = 16 * 1024;
/** A log-in of another process is waited for this long. */
const LOCK_MS = 10_000;
const PAUSE_MS = 100;

const written = z.strictObject({
  version: z.literal(1),
  /** The signing key that the client pins: the token was checked under it. */
  serverKey: shapes.verifyingKey,
  email: shapes.email,
  token: text(4096),
  expires: shapes.seconds,
});

interface TokenFileOptions {
  /** Folder of states. */
  readonly folder: string;
  readonly key: KeyHandle;
  readonly deviceId: string;
  readonly pinned: string;
  readonly trust: Trust;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class TokenFile {
  readonly #options: TokenFileOptions;
  readonly #folder: string;

  constructor(options: TokenFileOptions) {
    this.#options = options;
    this.#folder = join(options.folder, options.deviceId);
  }

  /** The token that is kept for `email`, else one that `logIn` gives, which is kept then. One process of the machine logs in at a time. */
  async share(email: string, { refused, fresh }: LogIn, logIn: () => Promise<Token>): Promise<Token> {
    const find = async () => (fresh ? undefined : await this.#find(email, refused));
    const kept = await find();
    if (kept) return kept;
    const lock = await this.#lock();
    try {
      const meanwhile = await find();
      if (meanwhile) return meanwhile;
      const token = await logIn();
      // It is good for the change of the password alone.
      if (!token.mustChangePassword) await this.#write(email, token).catch(() => undefined);
      return token;
    } finally {
      lock?.release();
    }
  }

  async #find(email: string, refused: string | undefined): Promise<Token | undefined> {
    const { key, pinned, now } = this.#options;
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names) {
      const server = FILE.exec(name)?.[1];
      if (server === undefined) continue;
      try {
        const sealed = await readBounded(join(this.#folder, name), MAX_FILE);
        const plain = call((native) => native.openState(key, unhex(server), sealed));
        const kept = written.parse(JSON.parse(Buffer.from(plain).toString('utf8')));
        plain.fill(0);
        const { token, expires } = kept;
        const fits = kept.serverKey === pinned && kept.email === email && token !== refused;
        if (fits && isUsable({ expires }, now())) return { token, expires, mustChangePassword: false };
      } catch {
        // Of another version, damaged, or replaced meanwhile.
      }
    }
    return undefined;
  }

  async #write(email: string, { token, expires }: Token): Promise<void> {
    const { key, pinned, trust } = this.#options;
    if (trust.server === undefined) return;
    const server = trust.server;
    const kept: z.output<typeof written> = { version: 1, serverKey: pinned, email, token, expires };
    const plain = Buffer.from(JSON.stringify(kept));
    const sealed = call((native) => native.sealState(key, unhex(server), plain));
    plain.fill(0);
    await writeWhole(join(this.#folder, `${server}.token`), (handle) => writeAll(handle, sealed), { overwrite: true });
  }

  /** Undefined where the other process takes too long, or the folder cannot be locked: two log-ins are better than none. */
  async #lock(): Promise<{ release(): void } | undefined> {
    const until = performance.now() + LOCK_MS;
    try {
      await makePrivateFolder(this.#folder);
      for (;;) {
        const lock = await call((native) => native.lockFile(join(this.#folder, LOCK)));
        if (lock || performance.now() > until) return lock;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS / 2 + randomInt(PAUSE_MS)));
      }
    } catch {
      return undefined;
    }
  }
}
