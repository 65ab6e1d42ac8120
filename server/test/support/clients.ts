/** Clients of a test server, with its clock and without pauses. */
import { join } from 'node:path';
import { DeviceKey, type GuardServer, type GuardServerOptions } from '@org/model-guard';
import type { Role } from '@org/model-guard/server-kit';
import { guardServerWithHooks } from '../../../src/remote/guard-server.js';
import type { TestHooks } from '../../../src/remote/setup.js';
import type { TestServer } from './server.js';

/** The clocks of one machine: the server's time, and an offset that a test sets. */
export class MachineClock {
  /** Added to the wall clock alone. */
  offset = 0;
  bootId = 'boot 1';
  #started: number;

  constructor(readonly server: TestServer) {
    this.#started = server.clock.now;
  }

  restart(): void {
    this.bootId += "'";
    this.#started = this.server.clock.now;
  }

  readonly read = async () => ({
    wall: this.server.clock.now + this.offset,
    bootId: this.bootId,
    boottime: this.server.clock.now - this.#started,
  });
}

export interface ClientOptions extends Partial<GuardServerOptions> {
  readonly role?: Role;
  readonly clock?: MachineClock;
  readonly surroundings?: TestHooks;
}

/** A client under the account of a role. The server listens. */
export function clientOf(
  server: TestServer,
  { role = 'operator', clock = new MachineClock(server), surroundings, ...options }: ClientOptions = {},
): GuardServer {
  const { email, password } = server.accounts[role];
  return guardServerWithHooks(
    {
      url: server.url,
      serverKey: server.context.keys.signing.publicKey,
      credentials: () => ({ email, password }),
      state: join(server.folder, 'state'),
      ...options,
    },
    {
      clock: clock.read,
      now: () => (server.clock.now + clock.offset) * 1000,
      pace: { random: () => 0, sleep: async () => undefined },
      ...surroundings,
    },
  );
}

/** Enrolled and approved, with a client of its own. */
export async function readyDevice(
  server: TestServer,
  options: ClientOptions = {},
): Promise<{ guard: GuardServer; device: DeviceKey }> {
  const device = options.device ?? DeviceKey.generate();
  const guard = clientOf(server, { ...options, device });
  const enrolled = await guard.enroll('a bench');
  await clientOf(server, { role: 'admin' }).devices.approve(enrolled.device.id, enrolled.fingerprint);
  return { guard, device };
}
