/** Recorded machines (test/machines/README.md has the format) and changes to them, written into a folder for the hardware reader. */
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { projectRoot } from './shared.js';
import { temporaryFolder } from './temp.js';

type Node =
  | { readonly kind: 'file'; readonly content: Uint8Array; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'folder' };

const folder = path.join(projectRoot, 'test/machines');
const files = readdirSync(folder).sort();
const written = temporaryFolder('machines');

/** The names that `machineTree` takes. */
export const machineNames: readonly string[] = files.flatMap((file) => (file.endsWith('.tree') ? [file.slice(0, -5)] : []));

/** What can be done to a machine: names for `edit`, without the machine's. */
function editsOf(machine: string): string[] {
  const prefix = `${machine}.`;
  return files.flatMap((file) => (file.startsWith(prefix) && file.endsWith('.edit') ? [file.slice(prefix.length, -5)] : []));
}
/** Edits that leave every factor as it is. */
export const disturbancesOf = (machine: string): string[] => editsOf(machine).filter((name) => !name.startsWith('other-'));
/** Factors that have an edit of their own: `edit('other-' + factor)` changes this one and no other. */
export const replacedOf = (machine: string): string[] =>
  editsOf(machine).flatMap((name) => (name.startsWith('other-') ? [name.slice(6)] : []));

export function machineTree(name: string): MachineTree {
  return new MachineTree(name).apply(readFileSync(path.join(folder, `${name}.tree`), 'utf8'));
}

export class MachineTree {
  readonly #nodes = new Map<string, Node>();

  constructor(readonly name: string) {}

  edit(name: string): this {
    return this.apply(readFileSync(path.join(folder, `${this.name}.${name}.edit`), 'utf8'));
  }

  apply(instructions: string): this {
    let file: { readonly path: string; readonly mode: number; content: string } | undefined;
    const finish = (): void => {
      if (file) this.set(file.path, Buffer.from(file.content, 'latin1'), file.mode);
      file = undefined;
    };
    const lines = instructions.split('\n');
    if (lines.at(-1) === '') lines.pop();
    for (const line of lines) {
      const [, mark, rest = ''] = /^(==|=>|--|!!|>>|##) (.*)$/.exec(line) ?? [];
      if (mark === undefined) {
        if (!file) throw new Error(`recorded machine: '${line}' belongs to no file`);
        file.content += unescapeLine(line);
        continue;
      }
      finish();
      const [first = '', second = ''] = rest.split(' -> ');
      if (mark === '==') {
        const [place = '', mode = '644'] = rest.split(' ');
        file = { path: place, mode: Number.parseInt(mode, 8), content: '' };
      } else if (mark === '=>') this.link(first, second);
      else if (mark === '--') this.folder(first);
      else if (mark === '!!') this.remove(first);
      else if (mark === '>>') this.move(first, second);
    }
    finish();
    return this;
  }

  set(place: string, content: string | Uint8Array, mode = 0o644): this {
    return this.#put(place, { kind: 'file', content: typeof content === 'string' ? Buffer.from(content) : content, mode });
  }

  link(place: string, target: string): this {
    if (target === '') throw new Error(`recorded machine: a link without a target: ${place}`);
    return this.#put(place, { kind: 'link', target });
  }

  folder(place: string): this {
    return this.#put(place, { kind: 'folder' });
  }

  remove(place: string): this {
    if (this.#take(place).length === 0) throw new Error(`recorded machine: there is no ${place} to remove from ${this.name}`);
    return this;
  }

  move(from: string, to: string): this {
    const taken = this.#take(from);
    if (taken.length === 0) throw new Error(`recorded machine: there is no ${from} to move in ${this.name}`);
    this.#take(to);
    for (const [place, node] of taken) this.#nodes.set(checked(to + place.slice(from.length)), node);
    return this;
  }

  /** The content of a file. */
  content(place: string): Uint8Array {
    const node = this.#nodes.get(place);
    if (node?.kind !== 'file') throw new Error(`recorded machine: there is no file ${place} in ${this.name}`);
    return node.content;
  }

  /** A new folder that holds the machine, until this test file is done. */
  async write(): Promise<string> {
    const root = await mkdtemp(path.join(written, `${this.name}-`));
    const put = async ([place, node]: [string, Node]): Promise<void> => {
      const target = path.join(root, place);
      await mkdir(node.kind === 'folder' ? target : path.dirname(target), { recursive: true });
      if (node.kind === 'link') await symlink(node.target, target);
      if (node.kind !== 'file') return;
      await writeFile(target, node.content);
      await chmod(target, node.mode); // whatever the process's mask is
    };
    await Promise.all([...this.#nodes].map(put));
    return root;
  }

  #put(place: string, node: Node): this {
    this.#take(place);
    this.#nodes.set(checked(place), node);
    return this;
  }

  /** Removes it, with all below. */
  #take(place: string): [string, Node][] {
    const taken = [...this.#nodes].filter(([other]) => other === place || other.startsWith(`${place}/`));
    for (const [other] of taken) this.#nodes.delete(other);
    return taken;
  }
}

function checked(place: string): string {
  if (!/^\/[^ ]*[^ /]$/.test(place)) throw new Error(`recorded machine: a bad path '${place}'`);
  return place;
}

/** A line of content as bytes of latin1, with its newline unless a backslash ends it. */
function unescapeLine(line: string): string {
  const bytes = Buffer.from(line, 'utf8').toString('latin1');
  return `${bytes}\n`.replace(/\\(\\|t|0|x[0-9a-f]{2}|\n|)/g, (_, what: string) => {
    if (what === '') throw new Error(`recorded machine: a bad escape in '${line}'`);
    if (what.startsWith('x')) return String.fromCharCode(Number.parseInt(what.slice(1), 16));
    return { '\\': '\\', t: '\t', '0': '\0' }[what] ?? '';
  });
}
