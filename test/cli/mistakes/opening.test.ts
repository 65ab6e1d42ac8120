/**
 * Mistakes of new users, of commands that open and check models, each with its whole message and exit code. If one of these changes, a person at the terminal reads
 * another message: read it as that person would.
 */
import { describeMistakes, type Mistake, makeContainers, OPEN, STRANGER } from '../../support/cli-mistakes.js';

const FROM = ['--store', 'store', '--out', 'loaded'];

const MISTAKES: readonly Mistake[] = [
  [
    'a container of another model',
    ['decrypt', 'net.mguard', 'out', ...OPEN, '--ref', 'net@2'],
    4,
    'model-guard: this is net@1, not net@2. Give the container of that model, or leave out --ref. [REFERENCE_MISMATCH]',
  ],
  [
    'a version after a colon',
    ['load', 'net:1', ...OPEN, ...FROM],
    2,
    'model-guard: NAME[@VERSION]: "net:1" is no reference; a version follows \'@\': "net@1". See `model-guard load --help`. [INVALID_ARGUMENT]',
  ],
  [
    'no version to load',
    ['load', 'net', ...OPEN, ...FROM],
    2,
    'model-guard: NAME[@VERSION] net: net has no version, and this store keeps no signed latest. Say net@VERSION. [INVALID_ARGUMENT]',
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
    'model-guard: net@1 is not signed by an accepted publisher. Do not use it unless you know that the publisher changed keys; then pin the new key. [SIGNATURE_INVALID]',
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
    'model-guard: net.onnx does not begin as a container or a small part does. If it is a big part, give the small part of that model: it tells about both. Else this was never a container. [NOT_A_CONTAINER]',
  ],
  [
    'a big part to look at',
    ['inspect', 'net.big'],
    3,
    'model-guard: net.big does not begin as a container or a small part does. If it is a big part, give the small part of that model: it tells about both. Else this was never a container. [NOT_A_CONTAINER]',
  ],
  [
    'the two parts the wrong way round',
    ['merge', 'joined.mguard', '--small', 'net.big', '--big', 'net.small'],
    3,
    'model-guard: net.big does not begin as a container or a small part does. If it is a big part, give the small part of that model: it tells about both. Else this was never a container. [NOT_A_CONTAINER]',
  ],
  [
    'a big part to re-wrap',
    ['rewrap', 'net.big', 'out.small', '--identity', 'master.key', '--recipient', 'other.key'],
    3,
    'model-guard: net.big does not begin as a container or a small part does. If it is a big part, give the small part of that model: it tells about both. Else this was never a container. [NOT_A_CONTAINER]',
  ],
  [
    'a model in the place of a passphrase',
    ['load', 'net@1', '--passphrase-file', 'net.onnx', '--unsigned', 'accept', ...FROM],
    3,
    'model-guard: net.onnx is no passphrase file: it is too large. Check that this is the file that was meant. [LIMIT_EXCEEDED]',
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
    'model-guard: folder is a folder, and a file is wanted. Give a file. [SOURCE_UNSUPPORTED]',
  ],
  [
    'a size with a unit for the cache',
    ['cache', 'trim', '--max-bytes', '10GB'],
    2,
    'model-guard: --max-bytes 10GB: wants a number. See `model-guard cache trim --help`. [INVALID_ARGUMENT]',
  ],
];

describeMistakes('models that are opened', MISTAKES, makeContainers);
