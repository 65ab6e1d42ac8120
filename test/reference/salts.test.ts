/** Salts files and the public salts (docs/format.md, section 13). */
import { describe, expect, it } from 'vitest';
import { seeded } from '../support/seed.js';
import { refused } from '../support/wycheproof.js';
import { ascii, utf8 } from './bytes.js';
import { MACHINE_FILE } from './machine-vector.js';
import { parseMachineFile } from './machines.js';
import { DEFAULT_PEPPER, defaultLegacySalt, parseSaltsFile, saltsId, toBase64url } from './salts.js';

const random = seeded('the reference reads salts');

describe('a salts file', () => {
  const parseText = (text: string) => parseSaltsFile(utf8(text));
  const pepper = toBase64url(random.bytes(32));
  const head = 'model-guard-salts v1\n';

  it('gives what it says, in any order', () => {
    const salts = parseText(`${head}legacy-resource  two spaces \npepper ${pepper}\nlegacy-hardware Salz für Öl\n`);
    expect(toBase64url(salts.pepper ?? new Uint8Array(0))).toBe(pepper);
    expect([...salts.legacy]).toEqual([
      ['hardware', utf8('Salz für Öl')],
      ['resource', ascii(' two spaces ')],
    ]);
    expect(parseText(head)).toEqual({ legacy: new Map() });
    expect(parseText(`${head}legacy-download ${'x'.repeat(1024)}\n`).legacy.get('download')?.length).toBe(1024);
  });

  it.for([
    ['nothing', ''],
    ['another first line', `model-guard-salts v2\npepper ${pepper}\n`],
    ['no last line end', `${head}pepper ${pepper}`],
    ['an empty line', `${head}\npepper ${pepper}\n`],
    ['a name twice', `${head}pepper ${pepper}\npepper ${pepper}\n`],
    ['an unknown name', `${head}legacy-other x\n`],
    ['a short pepper', `${head}pepper ${pepper.slice(0, -2)}\n`],
    ['a padded pepper', `${head}pepper ${pepper}=\n`],
    ['a pepper and a space', `${head}pepper ${pepper} \n`],
    ['no value', `${head}legacy-download\n`],
    ['an empty value', `${head}legacy-download \n`],
    ['too long a salt', `${head}legacy-download ${'x'.repeat(1025)}\n`],
    ['carriage returns', `model-guard-salts v1\r\npepper ${pepper}\r\n`],
    ['more than 16 KiB', `${head}${'x'.repeat(16_384)}\n`],
  ])('with %s is refused', ([, text]) => {
    expect(refused(() => parseText(text ?? ''))).toBe(true);
  });

  it('of no organisation are the public constants', () => {
    expect(toBase64url(DEFAULT_PEPPER)).toHaveLength(43);
    expect(saltsId(DEFAULT_PEPPER)).toEqual(parseMachineFile(ascii(MACHINE_FILE)).helper.saltsId);
    expect(defaultLegacySalt('download')).toHaveLength(43);
  });
});
