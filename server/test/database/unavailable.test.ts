/**
 * An unavailable database. If this fails, clients repeat completed changes: a second successor of a key, a log-in with the old
 * password.
 */
import { expect, it } from 'vitest';
import { afterCommit, DatabaseUnavailable } from '../../src/database/unavailable.js';

it('behind a commit is never said to have left nothing done', async () => {
  const away = async () => {
    throw new DatabaseUnavailable('gone', true);
  };
  await expect(afterCommit(away)).rejects.toMatchObject({ name: 'DatabaseUnavailable', message: 'gone', undone: false });
  const other = new Error('another');
  await expect(afterCommit(() => Promise.reject(other))).rejects.toBe(other);
  expect(await afterCommit(async () => 5)).toBe(5);
});
