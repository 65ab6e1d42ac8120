/** Connecting to PostgreSQL. If these fail, no pooler can stand between the server and PostgreSQL. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { makePool } from '../../src/database/postgres/pool.js';

it('begins a connection with the words that every pooler knows', async () => {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const pool = makePool(`postgres://guard:x@127.0.0.1:${(listener.address() as AddressInfo).port}/guard`);
  const connection = await pool.connect();
  const refused = expect(connection.query('select 1', [])).rejects.toMatchObject({ name: 'DatabaseUnavailable', undone: true });
  const [socket]: [Socket] = (await once(listener, 'connection')) as [Socket];
  const [first]: [Buffer] = (await once(socket, 'data')) as [Buffer];
  // Length, version of the protocol, then names and values.
  const words = first.subarray(8).toString().split('\0');
  const names = words.filter((word, at) => at % 2 === 0 && word !== '');
  expect(names.sort()).toEqual(['application_name', 'client_encoding', 'database', 'user']);
  socket.destroy();
  await refused;
  connection.release();
  await pool.end();
  listener.close();
  await once(listener, 'close');
});
