/**
 * Mistakes of new users, of commands that encrypt and publish, each with its whole message and exit code. If one of these changes, a person at the terminal reads
 * another message: read it as that person would.
 */
import { describeMistakes, type Mistake, publishNet, STRANGER, TO } from '../../support/cli-mistakes.js';

const ONE = ['protect', 'net.onnx', 'net@1'];
const TWO = ['protect', 'net.onnx', 'net@2'];

const MISTAKES: readonly Mistake[] = [
  ['a command that is none', ['publsh', 'net.onnx'], 2, "error: unknown command 'publsh'\n(Did you mean publish?)"],
  [
    'a path that is not there',
    ['protect', 'nowhere.onnx', 'net@2', ...TO],
    6,
    'model-guard: Cannot read nowhere.onnx (ENOENT). Check the path. [NOT_FOUND]',
  ],
  [
    'a name with capitals',
    ['protect', 'net.onnx', 'Net@1', ...TO],
    2,
    'model-guard: NAME@VERSION Net@1: "Net" does not match [a-z0-9][a-z0-9._-]{0,127}; "net" would. Rename it: docs/format.md says what a name may hold. [NAME_INVALID]',
  ],
  ['no reference', ['protect', 'net.onnx', ...TO], 2, "error: missing required argument 'NAME@VERSION'"],
  [
    'no version',
    ['protect', 'net.onnx', 'net', ...TO],
    2,
    'model-guard: NAME@VERSION net: net has no version. Say net@VERSION. [INVALID_ARGUMENT]',
  ],
  [
    'no version behind --ref',
    ['encrypt', 'net.onnx', 'new.mguard', '--ref', 'net', '--recipient', 'master.key'],
    2,
    'model-guard: --ref net: net has no version. Say net@VERSION. [INVALID_ARGUMENT]',
  ],
  [
    'a flag that is misspelt',
    [...ONE, '--recipent', 'master.key', '--store', 'store'],
    2,
    "error: unknown option '--recipent'\n(Did you mean --recipient?)",
  ],
  [
    'no recipient',
    [...ONE, '--store', 'store'],
    2,
    'model-guard: Give at least one --recipient, --machine or passphrase. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'no store',
    [...ONE, '--recipient', 'master.key'],
    2,
    'model-guard: Give --store, or both --small-store and --big-store. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'half a pair of stores',
    [...ONE, '--recipient', 'master.key', '--small-store', 'store'],
    2,
    'model-guard: Give --store, or both --small-store and --big-store. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    "a publisher's key as recipient",
    [...TWO, '--recipient', STRANGER, '--store', 'store'],
    5,
    'model-guard: --recipient mgs1:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo: mgs1:… is an Ed25519 public key; wanted is mgx1:… (an X25519 public key) or mgd1:… (the public keys of a device). Give a key of the type this place asks for. [KEY_TYPE_WRONG]',
  ],
  [
    'a signing key file as recipient',
    [...ONE, '--recipient', 'signing.key', '--store', 'store'],
    5,
    'model-guard: signing.key holds a signing key; nothing can be encrypted to it. Give a key of the type this place asks for. [KEY_TYPE_WRONG]',
  ],
  [
    'a key that was cut when it was copied',
    [...TWO, '--recipient', 'mgd1:DOOO', '--store', 'store'],
    5,
    'model-guard: --recipient mgd1:DOOO: mgd1:… is not followed by 64 bytes in base64url. Give an unchanged key as `model-guard keygen` wrote or printed it. [KEY_INVALID]',
  ],
  [
    'a device key to sign with',
    [...TWO, ...TO, '--sign', 'device.key'],
    5,
    'model-guard: device.key holds a device key, not a signing key. Give your own signing key (`model-guard keygen --type signing` makes one). [KEY_TYPE_WRONG]',
  ],
  [
    'a version that is published',
    [...ONE, ...TO],
    6,
    'model-guard: net@1 is published already. A published version is immutable: choose another version, or replace it explicitly (--force). [ALREADY_EXISTS]',
  ],
  [
    'a ratio in percent',
    [...TWO, ...TO, '--ratio', '30'],
    2,
    'model-guard: --ratio 30: wants at most 0.9. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'a size with a unit',
    [...TWO, ...TO, '--max-bytes', '3KB'],
    2,
    'model-guard: --max-bytes 3KB: wants a number. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'no threads',
    [...TWO, ...TO, '--threads', '0'],
    2,
    'model-guard: --threads 0: wants at least 1. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'a folder with nothing in it',
    ['protect', 'nothing', 'net@2', ...TO],
    6,
    'model-guard: nothing holds no files. Check the path: there is nothing in it to protect. [SOURCE_EMPTY]',
  ],
  [
    'a model as machine file',
    [...TWO, '--machine', 'net.onnx', '--store', 'store'],
    5,
    'model-guard: the machine file is not as it was exported: it does not end with a newline. Export it again on the target machine (`model-guard fingerprint --out`) and send it unchanged. [MACHINE_FILE_INVALID]',
  ],
  [
    'a web server to publish to',
    [...TWO, '--recipient', 'master.key', '--store', 'https://cdn.example.com'],
    6,
    'model-guard: --store: a web server is only read. Give the folder or the bucket (s3://…) that it serves. [READ_ONLY]',
  ],
  [
    'a bucket with one slash',
    [...TWO, '--recipient', 'master.key', '--store', 's3:/models'],
    2,
    'model-guard: --store s3:/models: a bucket is written s3://bucket or s3://bucket/prefix. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'no key for a legacy artifact',
    ['migrate', 'net.onnx', '--ref', 'net@2', ...TO],
    2,
    'model-guard: Give one of --key-file, --archive-fragment-file, --resource-key, --download-key. See `model-guard migrate --help`. [INVALID_ARGUMENT]',
  ],
];

describeMistakes('models that are sealed', MISTAKES, publishNet);
