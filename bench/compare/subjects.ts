/** All subjects, in the order of the table. */
import { inferenceSubjects } from './inference.js';
import { ourSubjects } from './ours.js';
import { age } from './peers/age.js';
import { aws } from './peers/aws.js';
import { nodeCrypto } from './peers/node-crypto.js';
import { pythonCbc } from './peers/python.js';
import { secretstream } from './peers/secretstream.js';
import { typage } from './peers/typage.js';
import { plainSubjects } from './plain.js';
import type { Subject } from './subject.js';

export const SUBJECTS: readonly Subject[] = [
  ...ourSubjects,
  ...plainSubjects,
  ...age,
  secretstream,
  ...nodeCrypto,
  aws,
  pythonCbc,
  typage,
  ...inferenceSubjects,
];
