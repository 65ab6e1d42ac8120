/** A database that is away. If this fails, clients repeat what was done: a second successor of a key, a log-in with the old password. */
import { expect, it } from 'vitest';
import { afterCommit, DatabaseAway } from '../../src/database/away.js';

it('behind a commit is never said to have left nothing done', async () => {
  const away = async () => {
    throw new DatabaseAway('gone', true);
  };
  await expect(afterCommit(away)).rejects.toMatchObject({ name: 'DatabaseAway', message: 'gone', undone: false });
  const other = new Error('another');
  await expect(afterCommit(() => Promise.reject(other))).rejects.toBe(other);
  expect(await afterCommit(async () => 5)).toBe(5);
});
