/**
 * Mistakes that new users make, each with its whole message and exit code. If one of these changes, a person at the terminal is told
 * something else: read the new message as that person would.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { modelGuard, succeed } from '../support/cli.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('mistakes');
const before = process.cwd();
const PROTECT = ['protect', 'net.onnx', '--name', 'net'];
const ONE = [...PROTECT, '--model-version', '1'];
const TO = ['--recipient', 'master.key', '--store', 'store'];
const FROM = ['--store', 'store', '--out', 'loaded'];
const OPEN = ['--identity', 'master.key', '--unsigned', 'accept'];
/** Of another publisher: a public key of the tests of RFC 8032. */
const STRANGER = 'mgs1:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';

beforeAll(async () => {
  process.chdir(base);
  vi.stubEnv('XDG_CONFIG_HOME', path.join(base, 'config'));
  writeFileSync('net.onnx', Buffer.alloc(20_000, 'model'));
  writeFileSync('empty.txt', '', { mode: 0o600 });
  writeFileSync('account.txt', 'ada\n', { mode: 0o600 });
  mkdirSync('nothing');
  mkdirSync('folder');
  await succeed('keygen', '--out', 'master.key');
  await succeed('keygen', '--out', 'other.key');
  await succeed('keygen', '--type', 'device', '--out', 'device.key');
  await succeed('keygen', '--type', 'signing', '--out', 'signing.key');
  await succeed(...ONE, ...TO, '--sign', 'signing.key');
  await succeed('encrypt', 'net.onnx', 'net.mguard', '--recipient', 'master.key', '--name', 'net', '--model-version', '1');
  await succeed('split', 'net.mguard', '--small', 'net.small', '--big', 'net.big');
  await succeed('encrypt', 'net.onnx', 'signed.mguard', '--recipient', 'master.key', '--sign', 'signing.key');
  const bytes = readFileSync('signed.mguard');
  bytes.set([(bytes.at(-1) ?? 0) ^ 1], bytes.length - 1);
  writeFileSync('damaged.mguard', bytes);
});
afterAll(() => {
  process.chdir(before);
  vi.unstubAllEnvs();
});

const MISTAKES: readonly (readonly [string, readonly string[], number, string])[] = [
  ['a command that is none', ['publsh', 'net.onnx'], 2, "error: unknown command 'publsh'\n(Did you mean publish?)"],
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
    'a path that is not there',
    ['protect', 'nowhere.onnx', '--name', 'net', '--model-version', '2', ...TO],
    6,
    'model-guard: Cannot read nowhere.onnx (ENOENT). Check the path. [NOT_FOUND]',
  ],
  [
    'a name with capitals',
    ['protect', 'net.onnx', '--name', 'Net', '--model-version', '1', ...TO],
    2,
    'model-guard: --name: "Net" does not match [a-z0-9][a-z0-9._-]{0,127}; "net" would. Rename it: docs/format.md says what a name may hold. [NAME_INVALID]',
  ],
  ['no version', [...PROTECT, ...TO], 2, "error: required option '--model-version <V>' not specified"],
  ['--version for --model-version', [...PROTECT, '--version', '1', ...TO], 2, "error: unknown option '--version'"],
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
    [...PROTECT, '--model-version', '2', '--recipient', STRANGER, '--store', 'store'],
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
    [...PROTECT, '--model-version', '2', '--recipient', 'mgd1:DOOO', '--store', 'store'],
    5,
    'model-guard: --recipient mgd1:DOOO: mgd1:… is not followed by 64 bytes in base64url. Give an unchanged key as `model-guard keygen` wrote or printed it. [KEY_INVALID]',
  ],
  [
    'a device key to sign with',
    [...PROTECT, '--model-version', '2', ...TO, '--sign', 'device.key'],
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
    [...PROTECT, '--model-version', '2', ...TO, '--ratio', '30'],
    2,
    'model-guard: --ratio 30: wants at most 0.9. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'a size with a unit',
    [...PROTECT, '--model-version', '2', ...TO, '--max-bytes', '3KB'],
    2,
    'model-guard: --max-bytes 3KB: wants a number. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'no threads',
    [...PROTECT, '--model-version', '2', ...TO, '--threads', '0'],
    2,
    'model-guard: --threads 0: wants at least 1. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'a folder with nothing in it',
    ['protect', 'nothing', '--name', 'net', '--model-version', '2', ...TO],
    6,
    'model-guard: nothing holds no files. Check the path: there is nothing in it to protect. [SOURCE_EMPTY]',
  ],
  [
    'a model as machine file',
    [...PROTECT, '--model-version', '2', '--machine', 'net.onnx', '--store', 'store'],
    5,
    'model-guard: this is no machine file as it was exported: it does not end with a newline. Export it again on the target machine (`model-guard fingerprint --out`) and send it unchanged. [MACHINE_FILE_INVALID]',
  ],
  [
    'a web server to publish to',
    [...PROTECT, '--model-version', '2', '--recipient', 'master.key', '--store', 'https://cdn.example.com'],
    6,
    'model-guard: --store: what a web server serves is only read. Give the folder or the bucket (s3://…) that it serves. [READ_ONLY]',
  ],
  [
    'a bucket with one slash',
    [...PROTECT, '--model-version', '2', '--recipient', 'master.key', '--store', 's3:/models'],
    2,
    'model-guard: --store s3:/models: a bucket is written s3://bucket or s3://bucket/prefix. See `model-guard protect --help`. [INVALID_ARGUMENT]',
  ],
  [
    'a version after a colon',
    ['load', 'net:1', ...OPEN, ...FROM],
    2,
    'model-guard: N[@V]: "net:1" is no reference; a version follows \'@\': "net@1". See `model-guard load --help`. [INVALID_ARGUMENT]',
  ],
  [
    'no version to load',
    ['load', 'net', ...OPEN, ...FROM],
    2,
    'model-guard: N[@V] net: net has no version, and this store keeps no signed latest. Say net@VERSION. [INVALID_ARGUMENT]',
  ],
  [
    'a version that is not there',
    ['load', 'net@9', ...OPEN, ...FROM],
    6,
    'model-guard: The small part of net@9 is not there (/here/store/small/net/9). Check the name, the version and the place. [NOT_FOUND]',
  ],
  [
    'nothing about the origin',
    ['load', 'net@1', '--identity', 'master.key', ...FROM],
    2,
    "model-guard: Nothing says whom to trust for the origin of this model. Give the publisher's public key with --signer, or --unsigned accept if you know the origin otherwise. [VERIFIER_REQUIRED]",
  ],
  [
    'two origins',
    ['load', 'net@1', ...OPEN, '--signer', STRANGER, ...FROM],
    2,
    'model-guard: --signer and --unsigned exclude each other. See `model-guard load --help`. [INVALID_ARGUMENT]',
  ],
  [
    'another publisher',
    ['load', 'net@1', '--identity', 'master.key', '--signer', STRANGER, ...FROM],
    4,
    'model-guard: net@1 is not signed by a publisher that was asked for. Do not use it unless you know that the publisher changed keys; then pin the new key. [SIGNATURE_INVALID]',
  ],
  [
    'another key',
    ['load', 'net@1', '--identity', 'other.key', '--unsigned', 'accept', ...FROM],
    5,
    'model-guard: None of the identities opens net@1: it is for a master key; given was a master key. Give the identity of one of its recipients; `model-guard key show FILE` prints the id of a key. [NO_MATCHING_IDENTITY]',
  ],
  [
    'a signing key to open with',
    ['load', 'net@1', '--identity', 'signing.key', '--unsigned', 'accept', ...FROM],
    5,
    'model-guard: signing.key holds a signing key; it opens nothing. Give a key of the type this place asks for. [KEY_TYPE_WRONG]',
  ],
  [
    'an empty passphrase',
    ['load', 'net@1', '--passphrase-file', 'empty.txt', '--unsigned', 'accept', ...FROM],
    5,
    "model-guard: the passphrase file 'empty.txt' is empty. Give 1 to 1,024 bytes of UTF-8 text. [PASSPHRASE_INVALID]",
  ],
  [
    'nothing that opens',
    ['load', 'net@1', '--unsigned', 'accept', ...FROM],
    2,
    'model-guard: Give at least one --identity, --hardware or a passphrase. See `model-guard load --help`. [INVALID_ARGUMENT]',
  ],
  [
    'a store beside --guard',
    ['load', 'net@1', '--guard', ...FROM],
    2,
    'model-guard: --guard takes the parts from the server and opens them with the device key: leave out stores and identities. See `model-guard load --help`. [INVALID_ARGUMENT]',
  ],
  [
    'an output that is there',
    ['load', 'net@1', ...OPEN, '--store', 'store', '--out', 'net.onnx'],
    6,
    'model-guard: net.onnx already exists. Choose another name or path, or remove what is there first. [ALREADY_EXISTS]',
  ],
  [
    'a model that is not encrypted',
    ['decrypt', 'net.onnx', 'out', ...OPEN],
    3,
    'model-guard: the first 8 bytes are not those of a container. Give a .mguard container or a small part; this was never one. [NOT_A_CONTAINER]',
  ],
  [
    'a small part alone',
    ['decrypt', 'net.small', 'out', ...OPEN],
    3,
    'model-guard: This is 3072 bytes of a container of 36846. If it is a small part, join it with its big part first (merge). Otherwise fetch it again. [CONTAINER_TRUNCATED]',
  ],
  [
    'a signature that is not there',
    ['decrypt', 'net.mguard', 'out', '--identity', 'master.key', '--signer', STRANGER],
    4,
    'model-guard: net@1 is not signed by any publisher. Have the publisher sign it, or accept it unsigned (--unsigned accept) if you trust its origin otherwise. [SIGNATURE_MISSING]',
  ],
  [
    'a damaged container',
    ['verify', 'damaged.mguard', '--signer', 'signing.key'],
    4,
    'model-guard: The payload is not the one that the header states. Do not use it: the payload is not the one that was signed. Fetch it again from its publisher. [DIGEST_MISMATCH]',
  ],
  [
    'a folder to look at',
    ['inspect', 'folder'],
    6,
    'model-guard: folder is not a regular file. Use regular files and folders only: replace or leave out what the message names. [SOURCE_UNSUPPORTED]',
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
    'model-guard: What a machine must show is asked for where it is exported: give --out. See `model-guard fingerprint --help`. [INVALID_ARGUMENT]',
  ],
  [
    'no key for a legacy artifact',
    ['migrate', 'net.onnx', '--name', 'net', '--model-version', '2', ...TO],
    2,
    'model-guard: Give one of --key-file, --archive-fragment-file, --resource-key, --download-key. See `model-guard migrate --help`. [INVALID_ARGUMENT]',
  ],
  [
    'http:// to another machine',
    ['login', '--url', 'http://guard.example.com', '--server-key', STRANGER, '--credentials', 'account.txt'],
    2,
    'model-guard: --url http://guard.example.com: is http:// to another machine; only https:// leaves this one. See `model-guard login --help`. [INVALID_ARGUMENT]',
  ],
  [
    'a server key that is none',
    ['login', '--url', 'https://guard.example.com', '--server-key', 'abc', '--credentials', 'account.txt'],
    5,
    'model-guard: --server-key abc: the text is no public key, which begins with mgs1:. Give an unchanged key as `model-guard keygen` wrote or printed it. [KEY_INVALID]',
  ],
  [
    'no log-in before',
    ['devices', 'list'],
    6,
    'model-guard: No guard server is known here (/here/config/model-guard/server.json). Name one first: `model-guard login --url https://… --server-key mgs1:… --credentials FILE`. [NOT_FOUND]',
  ],
  [
    'no role for an account',
    ['users', 'create', 'ada@example.com', '--password-file', 'account.txt'],
    2,
    "error: required option '--role <ROLE>' not specified",
  ],
  [
    'a size with a unit for the cache',
    ['cache', 'trim', '--max-bytes', '10GB'],
    2,
    'model-guard: --max-bytes 10GB: wants a number. See `model-guard cache trim --help`. [INVALID_ARGUMENT]',
  ],
  [
    'an export instead of a checkpoint',
    ['audit-log', 'verify', 'net.onnx', '--checkpoint', 'net.onnx', '--key', STRANGER],
    3,
    'model-guard: net.onnx holds 20000 bytes; at most 4096 are read. Check that this is the file that was meant. [LIMIT_EXCEEDED]',
  ],
];

describe('mistakes of new users', () => {
  it.each(MISTAKES)('%s', async (_, args, code, message) => {
    const result = await modelGuard(...args);
    expect([result.code, result.stderr.trimEnd().replaceAll(base, '/here')]).toEqual([code, message]);
  });
});
