/** Rules for passwords, and their hashes. If these fail, weak passwords are accepted. */
import { describe, expect, it } from 'vitest';
import { checkPassword, hashPassword, passwordHolds } from '../../src/accounts/passwords.js';

describe('checkPassword', () => {
  it.each([
    ['too short', 'eleven char'],
    ['short in characters, though not in bytes', '🔑🔒🗝🔐🔏🔑🔒🗝🔐🔏🔑'],
    ['common', 'Password1234'],
    ['common in full-width letters', 'ｐａｓｓｗｏｒｄ１２３４'],
    ['one character', 'aaaaaaaaaaaaaaaa'],
    ['two characters', 'abababababababab'],
    ['the address', 'jane.doe-2026-x'],
    ['the name', 'I am Jane Q. Doe!'],
  ])('refuses what is %s', (_what, password) => {
    expect(() => checkPassword(password, 'Jane.Doe@example.com', 'Jane Q. Doe')).toThrow(
      expect.objectContaining({ code: 'PASSWORD_WEAK' }),
    );
  });

  it('takes a long phrase, in any script', () => {
    for (const password of ['seven wet umbrellas dry', 'пять мокрых зонтов', '七把湿伞在屋檐下慢慢晾干了呢'])
      expect(() => checkPassword(password, 'a@example.com', 'b')).not.toThrow();
  });
});

describe('hashes', () => {
  it('are argon2id of at least 19 MiB and two passes', async () => {
    expect(await hashPassword('seven wet umbrellas')).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });
  it('hold for the password in either normal form, and for no other or missing hash', async () => {
    const stored = await hashPassword('caf\u00e9 au lait \u00e0 la carte');
    expect(await passwordHolds(stored, 'cafe\u0301 au lait a\u0300 la carte')).toBe(true);
    expect(await passwordHolds(stored, 'cafe au lait a la carte')).toBe(false);
    expect(await passwordHolds(undefined, 'cafe au lait a la carte')).toBe(false);
  });
});
