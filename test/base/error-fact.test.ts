/** Facts beside an error. If they show, users find the library's own notes in logs, copies and comparisons. */
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { ErrorFact } from '../../src/base/error-fact.js';

const fact = new ErrorFact<number>('of this test');

it('is read back, and replaced by a later one', () => {
  const error = new Error('no');
  expect(fact.get(error)).toBeUndefined();
  expect(fact.set(error, 1)).toBe(error);
  expect(fact.get(error)).toBe(1);
  expect(fact.get(fact.set(error, 2))).toBe(2);
});

it('is apart from another fact of the same name', () => {
  const error = fact.set(new Error('no'), 1);
  expect(new ErrorFact<number>('of this test').get(error)).toBeUndefined();
});

it('is kept with an error of another context', () => {
  const error = runInNewContext('new Error("no")') as Error;
  expect(fact.get(fact.set(error, 3))).toBe(3);
});

it('shows nowhere', () => {
  const [plain, error] = [new Error('no'), fact.set(new Error('no'), 1)];
  plain.stack = error.stack = 'Error: no';
  expect(inspect(error)).toBe(inspect(plain));
  expect(JSON.stringify(error)).toBe('{}');
  expect(Object.assign({}, error)).toEqual({});
  expect(Object.keys(error)).toEqual([]);
  expect(fact.get(structuredClone(error))).toBeUndefined();
  expect(error).toStrictEqual(plain);
});

it('is not kept with a frozen error, nor read from a value that is none', () => {
  expect(fact.get(fact.set(Object.freeze(new Error('no')), 1))).toBeUndefined();
  for (const value of [undefined, null, 'text', {}]) expect(fact.get(value)).toBeUndefined();
});
