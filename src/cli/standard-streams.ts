/** Puts standard input or standard output in the place of `-`. */
import { fstatSync, type Stats } from 'node:fs';
import { mkdtemp, open, readFile, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAbortSignal } from 'node:stream';
import type { Command } from 'commander';
import { MAX_BYTES } from '../base/validate.js';
import { ModelGuardError } from '../errors.js';
import { exists, readPieces, withFileErrors, writeAll, writeSynced } from '../files/files.js';
import type { Context } from './context.js';
import { usage } from './flags/common.js';
import { nameOf } from './messages.js';

/**
 * A secret is read natively from the pipe itself, and is kept nowhere else. A model is held in memory: it is in no file before it is
 * encrypted. Other inputs are ciphertext or public, and are kept in a temporary file of this user.
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
  verify: { 'FILE|NAME@VERSION': 'public' },
  unlock: { ARCHIVE: 'public' },
  'archives register': { ARCHIVE: 'public' },
  'key show': { FILE: 'secret' },
  'audit-log accept': { FILE: 'public' },
  'audit-log verify': { FILE: 'public' },
};
/** Flags of all commands that name a file to read. Files of a profile and credentials are missing: they are read more than once. */
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

/** Adds --to-terminal to commands with binary output: without it they do not write to a terminal. */
export function withTerminalFlag(command: Command): void {
  const { kind } = WRITES[wordsOf(command)] ?? {};
  if (kind === 'binary' || kind === 'own') command.option('--to-terminal', 'with -: also where standard output is a terminal');
}

export class StandardStreams {
  readonly #context: Context;
  #folder: string | undefined;
  /** The file that the command writes, to be passed on. */
  #output: string | undefined;
  #model: Uint8Array | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Replaces `-` by a file, or by the bytes of a model. @throws INVALID_ARGUMENT for a second `-` as input */
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
    this.#context.reserveStdout();
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

  /** A path for a new file in a folder of this user alone. Messages call it `name`. */
  async #temporary(name: string): Promise<string> {
    this.#folder ??= await withFileErrors('Cannot make a temporary folder in', tmpdir(), () =>
      mkdtemp(join(tmpdir(), 'model-guard-')),
    );
    const path = join(this.#folder, name.replace(' ', '-'));
    this.#context.nameInMessages(path, name);
    return path;
  }

  /** Passes the output of the command on. */
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

/** The places of `-` in the values of an argument or a flag. */
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

/** The path of standard input, if it is a file at its beginning that still has this path. */
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
    // Moved, removed, or not readable by this user: it is read through its descriptor.
    return undefined;
  }
}
