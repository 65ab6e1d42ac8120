/**
 * Mistakes of new users, of commands about keys and machines, each with its whole message and exit code. If one of these changes, a person at the terminal reads
 * another message: read it as that person would.
 */
import { describeMistakes, type Mistake } from '../../support/cli-mistakes.js';

const MISTAKES: readonly Mistake[] = [
  ['no name for a new key', ['keygen'], 2, "error: required option '--out <FILE>' not specified"],
  [
    'a type of key that is none',
    ['keygen', '--type', 'signer', '--out', 'new.key'],
    2,
    "error: option '--type <TYPE>' argument 'signer' is invalid. Allowed choices are master, device, signing, salts.",
  ],
  [
    'a key file that is there',
    ['keygen', '--out', 'master.key'],
    6,
    "model-guard: 'master.key' exists; a key file is never overwritten. Choose another name or path, or remove what is there first. [ALREADY_EXISTS]",
  ],
  [
    'a key in a folder that is not there',
    ['keygen', '--out', 'gone/new.key'],
    6,
    'model-guard: --out gone/new.key: there is no folder /here/gone. Make it first (mkdir -p /here/gone), or choose another place. [NOT_FOUND]',
  ],
  [
    'a sealed key of another type',
    ['keygen', '--type', 'master', '--sealed', '--out', 'new.key'],
    2,
    'model-guard: --sealed is for device keys: give --type device. See `model-guard keygen --help`. [INVALID_ARGUMENT]',
  ],
  [
    'a model in the place of a key',
    ['key', 'show', 'net.onnx'],
    3,
    'model-guard: net.onnx is no key file: it is too large. Check that this is the file that was meant. [LIMIT_EXCEEDED]',
  ],
  [
    'a factor that is none',
    ['fingerprint', '--out', 'machine.json', '--require', 'disk'],
    2,
    "error: option '--require <F>' argument 'disk' is invalid. Allowed choices are cpu, gpu, memory, drive, uuid, tpm.",
  ],
  [
    'a policy for nothing',
    ['fingerprint', '--at-least', '2'],
    2,
    'model-guard: The policy of a machine belongs to its export: give --out. See `model-guard fingerprint --help`. [INVALID_ARGUMENT]',
  ],
];

describeMistakes('keys and machines', MISTAKES);
