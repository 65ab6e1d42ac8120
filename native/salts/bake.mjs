// Writes the salts of a build, masked, as a C++ include: those of the file that MODEL_GUARD_SALTS names, else the public ones
// (docs/format.md, section 13). Every build runs it; the same salts give the same bytes.
//   node native/salts/bake.mjs OUT
import { createHash, hkdfSync } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const NAMES = ['pepper', 'legacy-download', 'legacy-hardware', 'legacy-resource']; // in the order of salts.h
const FIRST_LINE = 'model-guard-salts v1';
const MAX_FILE = 16 * 1024;
const MAX_SALT = 1024;
const ADVICE = 'See docs/format.md, section 13; `model-guard keygen --type salts` makes a new file.';

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

function fail(what) {
  console.error(`model-guard: ${what}. ${ADVICE}`);
  process.exit(1);
}

function publicSalts() {
  const legacy = (name) => Buffer.from(sha256(`model-guard public default ${name} salt`).toString('base64url'));
  return [sha256('model-guard public default pepper'), legacy('download'), legacy('hardware'), legacy('resource')];
}

/** The file's bytes, where it is one that can hold salts. */
function read(file) {
  const name = `the salts file '${file}'`;
  try {
    const status = statSync(file);
    if (!status.isFile()) fail(`${name} is not a file`);
    if (status.size > MAX_FILE) fail(`${name} is larger than 16 KiB`);
    const foreign = status.uid !== process.geteuid?.() && status.uid !== 0;
    if (process.platform !== 'win32' && ((status.mode & 0o077) !== 0 || foreign))
      console.error(`model-guard: warning: other users may read or write ${name}; run \`chmod 600\`, and \`chown\` if it is another user's.`);
    return readFileSync(file);
  } catch (error) {
    return fail(`cannot read ${name}, which MODEL_GUARD_SALTS names: ${error.message}`);
  }
}

/** What is wrong with a line after the first, or else its salt, as a pair. Never shows what stands in the line. */
function parseLine(line) {
  const name = NAMES.find((word) => line.startsWith(`${word} `));
  if (name === undefined) return 'does not begin with pepper, legacy-download, legacy-hardware or legacy-resource and a space';
  const value = line.slice(name.length + 1);
  if (name === 'pepper') {
    const bytes = Buffer.from(value, 'base64url');
    if (bytes.length !== 32 || bytes.toString('base64url') !== value)
      return 'must hold the base64url of 32 bytes: 43 characters, no padding';
    return [name, bytes];
  }
  const salt = Buffer.from(value);
  return salt.length >= 1 && salt.length <= MAX_SALT ? [name, salt] : 'must hold a salt of 1 to 1,024 bytes';
}

/** The four salts, in the order of NAMES; an empty one where the file leaves a legacy salt out. */
function parse(bytes, file) {
  if (bytes.length === 0) fail(`the salts file '${file}' is empty`);
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    fail(`the salts file '${file}' is not UTF-8 text`);
  }
  const wrong = (number, what) => fail(`line ${number} of the salts file '${file}' ${what}`);
  const lines = text.split('\n');
  const rest = lines.pop(); // what follows the last newline
  const salts = new Map();
  for (const [index, line] of lines.entries()) {
    if (index === 0 && line === `${FIRST_LINE}\r`) wrong(1, 'has a Windows line end');
    if (index === 0 && line !== FIRST_LINE) wrong(1, `is not "${FIRST_LINE}"`);
    if (index === 0) continue;
    const found = parseLine(line);
    if (typeof found === 'string') wrong(index + 1, found);
    const [name, salt] = found;
    if (salts.has(name)) wrong(index + 1, `gives ${name} a second time`);
    salts.set(name, salt);
  }
  if (rest !== '') wrong(lines.length + 1, 'does not end with a newline');
  if (!salts.has('pepper')) fail(`the salts file '${file}' has no pepper, which a build needs`);
  return NAMES.map((name) => salts.get(name) ?? Buffer.alloc(0));
}

/** u16 size ‖ salt ‖ zeros, XOR a keystream: salts.cc undoes it. */
function mask(salt, seed, number) {
  const room = Buffer.alloc(2 + MAX_SALT);
  room.writeUInt16BE(salt.length);
  salt.copy(room, 2);
  const stream = Buffer.from(hkdfSync('sha384', seed, '', Buffer.of(number), room.length));
  return room.map((byte, at) => byte ^ stream[at]);
}

/** A relative path counts from where npm was called; npm itself runs this in the package's folder. */
function chosen() {
  const given = process.env.MODEL_GUARD_SALTS;
  if (given === undefined) return publicSalts();
  if (given === '') fail('MODEL_GUARD_SALTS is set but empty. Name a salts file, or unset it for the public salts');
  const file = path.resolve(process.env.INIT_CWD ?? '.', given);
  return parse(read(file), file);
}

const out = process.argv[2];
const salts = chosen();
const [pepper] = salts;
const id = sha256('model-guard/v1/salts', pepper).subarray(0, 8);
const sized = salts.flatMap((salt) => [Buffer.of(salt.length >> 8, salt.length & 255), salt]);
const seed = sha256('model-guard/v1/salts-mask', ...sized);
const list = (bytes) => `{${[...bytes].join(',')}}`;
const text = `// Made by native/salts/bake.mjs for this build. Not to be committed: it holds the salts.
constexpr unsigned char kId[] = ${list(id)};
constexpr unsigned char kSeed[] = ${list(seed)};
constexpr unsigned char kMasked[][${2 + MAX_SALT}] = {
${salts.map((salt, number) => list(mask(salt, seed, number))).join(',\n')}};
`;
mkdirSync(path.dirname(out), { recursive: true });
let previous;
try {
  previous = readFileSync(out, 'utf8');
} catch {}
// An unchanged file keeps its time, so that nothing is compiled anew.
if (previous !== text) {
  rmSync(out, { force: true });
  writeFileSync(out, text, { mode: 0o600 });
}
