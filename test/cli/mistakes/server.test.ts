/**
 * Mistakes of new users, of commands that ask the guard server, each with its whole message and exit code. If one of these changes, a person at the terminal reads
 * another message: read it as that person would.
 */
import { describeMistakes, type Mistake, STRANGER } from '../../support/cli-mistakes.js';

const MISTAKES: readonly Mistake[] = [
  [
    'http:// to another machine',
    ['login', '--url', 'http://guard.example.com', '--server-key', STRANGER, '--credentials', 'account.txt'],
    2,
    'model-guard: --url http://guard.example.com: is http:// to another machine; only https:// leaves this one. See `model-guard login --help`. [INVALID_ARGUMENT]',
  ],
  [
    'no http:// before an address',
    ['login', '--url', '127.0.0.1:8080', '--server-key', STRANGER, '--credentials', 'account.txt'],
    2,
    'model-guard: --url 127.0.0.1:8080: does not begin with https:// (to this machine http://). See `model-guard login --help`. [INVALID_ARGUMENT]',
  ],
  [
    'no https:// before a name and a port',
    ['login', '--url', 'localhost:8080', '--server-key', STRANGER, '--credentials', 'account.txt'],
    2,
    'model-guard: --url localhost:8080: does not begin with https:// (to this machine http://). See `model-guard login --help`. [INVALID_ARGUMENT]',
  ],
  [
    'a file of credentials without a password',
    ['login', '--url', 'http://127.0.0.1:1', '--server-key', STRANGER, '--credentials', 'account.txt'],
    2,
    'model-guard: --credentials account.txt: /here/account.txt gives no e-mail address and password. A file has them in two lines, the address first, or as JSON: {"email": …, "password": …}. [INVALID_ARGUMENT]',
  ],
  [
    'a file that is there as a server key, with another thing in it',
    ['login', '--url', 'https://guard.example.com', '--server-key', 'net.onnx', '--credentials', 'account.txt'],
    5,
    'model-guard: --server-key net.onnx: the text is no public key, which begins with mgs1:. Give an unchanged key as `model-guard keygen` wrote or printed it. [KEY_INVALID]',
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
    'an export instead of a checkpoint',
    ['audit-log', 'verify', 'net.onnx', '--checkpoint', 'net.onnx', '--key', STRANGER],
    3,
    'model-guard: net.onnx holds 20000 bytes; at most 4096 are read. Check that this is the file that was meant. [LIMIT_EXCEEDED]',
  ],
];

describeMistakes('the guard server', MISTAKES);
