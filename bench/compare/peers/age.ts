/** The `age` command. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { Place, Subject } from '../subject.js';
import { external, keyFile, sealed, sync } from './files.js';

const AGE = ['/usr/bin/age', '/usr/local/bin/age'].find(existsSync);
const noAge = () => (AGE === undefined ? 'age is not installed' : undefined);
const ageRecipient = (place: Place): string =>
  /public key: (\S+)/.exec(readFileSync(keyFile(place, 'age'), 'utf8'))?.[1] ?? 'none';

const sealWithAge = (place: Place, to: string) =>
  execFileSync(AGE ?? 'age', ['-r', ageRecipient(place), '-o', to, place.plain], { stdio: 'ignore' });

export const age: readonly Subject[] = [
  {
    name: 'age -d',
    kind: 'load',
    missing: noAge,
    prepare: async (place) => {
      rmSync(keyFile(place, 'age'), { force: true });
      execFileSync(`${AGE}-keygen`, ['-o', keyFile(place, 'age')], { stdio: 'ignore' });
      rmSync(sealed(place, 'age'), { force: true });
      sealWithAge(place, sealed(place, 'age'));
    },
    start: async (place) =>
      external(() =>
        execFileSync(AGE ?? 'age', ['-d', '-i', keyFile(place, 'age'), '-o', '/dev/null', sealed(place, 'age')], {
          stdio: 'ignore',
        }),
      ),
  },
  {
    name: 'age',
    kind: 'protect',
    missing: noAge,
    start: async (place) => {
      const to = `${sealed(place, 'age')}.new`;
      rmSync(to, { force: true });
      return external(async () => {
        sealWithAge(place, to);
        await sync(to);
      });
    },
  },
];
