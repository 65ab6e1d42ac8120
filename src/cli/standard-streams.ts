/** `-` stands for standard input or standard output in the place of one file. */
import { fstatSync, type Stats } from 'node:fs';
import { mkdtemp, open, readFile, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAbortSignal } from 'node:stream';
import type { Command } from 'commander';
import { ModelGuardError } from '../errors.js';
import { attempt, exists, readPieces, writeAll, writeSynced } from '../files.js';
import { MAX_BYTES } from '../options.js';
import type { Context } from './context.js';
import { usage } from './flags.js';
import { nameOf } from './messages.js';

/**
 * A secret is read natively from the pipe itself, and lies nowhere else. A model is held in memory: it is in no file before it is
 * encrypted. All else is ciphertext or public, and lies in a temporary file of this user meanwhile.
 */
type Kind = 'secret' | 'model' | 'public';

/** Files that commands read, by their arguments and flags. */
const READS: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  encrypt: { IN: 'model' },
  protect: { PATH: 'model' },
  publish: { PATH: 'model' },
  decrypt: { IN: 'public' },
  split: { IN: 'public' },
  merge: { small: 'public', big: 'public' },
  migrate: { ARTIFACT: 'public', small: 'public', big: 'public' },
  rewrap: { SMALL: 'public' },
  inspect: { FILE: 'public' },
  verify: { 'FILE|N@V': 'public' },
  unlock: { ARCHIVE: 'public' },
  'archives register': { ARCHIVE: 'public' },
  'key show': { FILE: 'secret' },
  'audit-log accept': { FILE: 'public' },
  'audit-log verify': { FILE: 'public' },
};
/** Flags that name a file to read, of whatever command. Those that a profile notes, and credentials, are read more than once. */
const READ_BY_ALL: Readonly<Record<string, Kind>> = {
  identity: 'secret',
  recipient: 'secret',
  sign: 'secret',
  signer: 'secret',
  passphraseFile: 'secret',
  recipientPassphraseFile: 'secret',
  keyFile: 'secret',
  archiveFragmentFile: 'secret',
  masterKey: 'secret',
  keyStringFile: 'secret',
  passwordFile: 'secret',
  current: 'secret',
  new: 'secret',
  machine: 'public',
  salts: 'public',
  checkpoint: 'public',
};

interface Output {
  /** The argument or flag. `split --big` writes two files, so it is none. */
  readonly at: string;
  /** `text` may go to a terminal. A `secret` is written natively. `own`: the command writes to standard output by itself. */
  readonly kind: 'binary' | 'text' | 'secret' | 'own';
}
const WRITES: Readonly<Record<string, Output>> = {
  encrypt: { at: 'OUT', kind: 'binary' },
  merge: { at: 'OUT', kind: 'binary' },
  rewrap: { at: 'OUT', kind: 'binary' },
  split: { at: 'small', kind: 'binary' },
  migrate: { at: 'out', kind: 'binary' },
  decrypt: { at: 'OUT', kind: 'own' },
  load: { at: 'out', kind: 'own' },
  keygen: { at: 'out', kind: 'secret' },
  fingerprint: { at: 'out', kind: 'text' },
  'audit-log export': { at: 'out', kind: 'text' },
  'audit-log checkpoint': { at: 'out', kind: 'text' },
  'audit-log restored': { at: 'out', kind: 'text' },
};

const wordsOf = (command: Command): string => nameOf(command).replace(/^model-guard /, '');

/** Adds the flag without which nothing binary goes to a terminal, to each command that could. */
export function withTerminalFlag(command: Command): void {
  const { kind } = WRITES[wordsOf(command)] ?? {};
  if (kind === 'binary' || kind === 'own') command.option('--to-terminal', 'with -: also where standard output is a terminal');
}

export class StandardStreams {
  readonly #context: Context;
  #folder: string | undefined;
  /** What the command writes, to be passed on. */
  #output: string | undefined;
  #model: Uint8Array | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Puts files, or the bytes of a model, in the places where `command` was given `-`. INVALID_ARGUMENT where it stands twice. */
  async replace(command: Command): Promise<void> {
    const words = wordsOf(command);
    await this.#replaceOutput(command, WRITES[words]);
    const reads = Object.entries({ ...READ_BY_ALL, ...READS[words] });
    const places = reads.flatMap(([at, kind]) => placesOf(command, at).map((place) => ({ ...place, kind })));
    const [first, second] = places;
    if (second) throw usage(`Standard input can be read once, and - stands for ${first?.label} and for ${second.label}`);
    if (first) first.put(await this.#input(first.kind));
  }

  async #replaceOutput(command: Command, output: Output | undefined): Promise<void> {
    const [place] = output ? placesOf(command, output.at) : [];
    if (!output || !place) return;
    const isBinary = output.kind === 'binary' || output.kind === 'own';
    if (isBinary && process.stdout.isTTY && command.getOptionValue('toTerminal') !== true)
      throw usage(`${place.label} -: standard output is a terminal, and this is not text: redirect it, or add --to-terminal`);
    if (output.kind === 'own') return;
    this.#context.leaveStdout();
    if (output.kind === 'secret') return place.put('/dev/stdout');
    this.#output = await this.#temporary('standard output');
    place.put(this.#output);
  }

  async #input(kind: Kind): Promise<string | Uint8Array> {
    const path = await redirectedFile();
    if (path !== undefined) return path;
    if (kind === 'secret') return '/dev/stdin';
    if (kind === 'model') {
      this.#model = await this.#readModel();
      return this.#model;
    }
    const spooled = await this.#temporary('standard input');
    await writeSynced(spooled, async (handle) => {
      for await (const piece of this.#pieces()) await writeAll(handle, piece);
    });
    return spooled;
  }

  async #readModel(): Promise<Uint8Array> {
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of this.#pieces()) {
      size += piece.length;
      if (size >= MAX_BYTES)
        throw new ModelGuardError('LIMIT_EXCEEDED', `Standard input has ${MAX_BYTES} bytes or more, and is held in memory`, {
          advice: 'Give a larger model as a file.',
        });
      pieces.push(piece);
    }
    const model = Buffer.concat(pieces);
    for (const piece of pieces) piece.fill(0);
    return model;
  }

  #pieces(): AsyncIterable<Buffer> {
    return addAbortSignal(this.#context.signal, process.stdin);
  }

  /** A path for a new file in a folder of this user alone. `name` is what messages call it. */
  async #temporary(name: string): Promise<string> {
    this.#folder ??= await attempt('Cannot make a temporary folder in', tmpdir(), () => mkdtemp(join(tmpdir(), 'model-guard-')));
    const path = join(this.#folder, name.replace(' ', '-'));
    this.#context.callInMessages(path, name);
    return path;
  }

  /** Passes on what the command has written. */
  async write(): Promise<void> {
    if (this.#output === undefined || !(await exists(this.#output))) return;
    for await (const piece of readPieces(this.#output)) await this.#context.stdout.take(piece);
  }

  async remove(): Promise<void> {
    this.#model?.fill(0);
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }
}

interface Place {
  readonly label: string;
  readonly put: (value: string | Uint8Array) => void;
}

/** Where `command` was given `-` for an argument or a flag. */
function placesOf(command: Command, at: string): readonly Place[] {
  const index = command.registeredArguments.findIndex((argument) => argument.name() === at);
  if (index >= 0) {
    const put = (value: string | Uint8Array): void => {
      command.processedArgs[index] = value;
    };
    return command.processedArgs[index] === '-' ? [{ label: at, put }] : [];
  }
  const option = command.options.find((one) => one.attributeName() === at);
  const value: unknown = command.getOptionValue(at);
  const label = option?.long ?? at;
  if (!Array.isArray(value)) return value === '-' ? [{ label, put: (given) => command.setOptionValue(at, given) }] : [];
  const values: unknown[] = [...value];
  return values.flatMap((one, position) =>
    one === '-'
      ? [
          {
            label,
            put: (given) =>
              command.setOptionValue(
                at,
                values.map((other, index) => (index === position ? given : other)),
              ),
          },
        ]
      : [],
  );
}

/** The file that standard input was redirected from, if it is one, is at its beginning, and still lies where it lay. */
async function redirectedFile(): Promise<string | undefined> {
  try {
    const given: Stats = fstatSync(0);
    if (!given.isFile()) return undefined;
    const path = await realpath('/dev/stdin');
    const { dev, ino } = await stat(path);
    const isAtStart = /^pos:\s*0$/m.test(await readFile('/proc/self/fdinfo/0', 'latin1'));
    if (!isAtStart || dev !== given.dev || ino !== given.ino) return undefined;
    await (await open(path, 'r')).close();
    return path;
  } catch {
    // Moved, removed, or not this user's to open: then it is read through its descriptor.
    return undefined;
  }
}
