/** The promises of makeDatabase(). */
import { Client } from 'pg';
import { expect, it } from 'vitest';
import { makeDatabase } from '../support/services.js';

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

it('makes databases that know nothing of each other, and drops them while somebody is connected', async () => {
  const [one, other] = [await makeDatabase(), await makeDatabase()];
  const [client, stranger] = [await connected(one.url), await connected(other.url)];
  await client.query('CREATE TABLE here (id integer)');
  await expect(stranger.query('SELECT * FROM here')).rejects.toThrow('does not exist');
  await Promise.all([one.drop(), other.drop()]);
  await expect(connected(one.url)).rejects.toThrow('does not exist');
});
