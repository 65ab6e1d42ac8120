/** Clients of a {@link FakeGuard}: its time, no pauses, and what they would have waited. */
import { deviceIdOf } from '../../src/contract/index.js';
import type { Pace } from '../../src/http/retry.js';
import { DeviceKey, type GuardServer, type GuardServerOptions } from '../../src/index.js';
import type { Moment } from '../../src/remote/clock.js';
import { guardServerWithHooks } from '../../src/remote/guard-server.js';
import type { FakeGuard } from './fake-guard.js';

/** Notes pauses instead of making them. */
export class NotedPace implements Pace {
  readonly pauses: number[] = [];
  random = (): number => 1;
  sleep = async (milliseconds: number): Promise<void> => {
    this.pauses.push(milliseconds);
  };
}

export interface FakeClient {
  readonly guard: GuardServer;
  readonly device: DeviceKey;
  readonly deviceId: string;
  readonly pace: NotedPace;
  /** The clocks of the machine; `wall` follows the server's until it is set. */
  readonly clock: { wall?: number; bootId: string; boottime: number };
}

export interface FakeClientOptions extends Partial<GuardServerOptions> {
  /** The folder of its state. */
  readonly state: string;
}

export function fakeClient(fake: FakeGuard, options: FakeClientOptions): FakeClient {
  const device = options.device ?? DeviceKey.generate();
  const publicKey = device.publicKey.toString();
  const deviceId = deviceIdOf(publicKey);
  fake.devices.set(deviceId, publicKey);
  const pace = new NotedPace();
  const clock: FakeClient['clock'] = { bootId: 'boot', boottime: 0 };
  const wall = (): number => clock.wall ?? fake.now;
  const read = async (): Promise<Moment> => ({ wall: wall(), bootId: clock.bootId, boottime: clock.boottime });
  const guard = guardServerWithHooks(
    {
      url: fake.url,
      serverKey: fake.serverKey,
      credentials: () => ({ email: 'a@example.com', password: 'the password of a test' }),
      publishers: fake.publisher.publicKey,
      device,
      timeoutMs: 20_000,
      ...options,
    },
    { clock: read, now: () => wall() * 1000, pace },
  );
  return { guard, device, deviceId, pace, clock };
}
