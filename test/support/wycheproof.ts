/** Wycheproof files: the parts of their shape that we read. */
import path from 'node:path';
import { readJson } from './shared.js';

export interface VectorTest {
  readonly tcId: number;
  readonly comment: string;
  readonly result: 'valid' | 'acceptable' | 'invalid';
  readonly flags: readonly string[];
  /** Every other member, as text; numbers in decimal. */
  field(name: string): string;
  bytes(name: string): Uint8Array;
}
export interface VectorGroup {
  readonly tests: readonly VectorTest[];
  size(name: string): number;
  publicKey(): Uint8Array;
}

type Plain = Readonly<Record<string, unknown>>;

function asObject(value: unknown, what: string): Plain {
  if (typeof value !== 'object' || value === null) throw new Error(`${what} is no object`);
  return Object.fromEntries(Object.entries(value));
}

function asList(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${what} is no list`);
  return value;
}

function asResult(value: unknown): VectorTest['result'] {
  if (value === 'valid' || value === 'acceptable' || value === 'invalid') return value;
  throw new Error(`a test says ${String(value)}`);
}

function toTest(value: unknown): VectorTest {
  const plain = asObject(value, 'a test');
  const field = (name: string): string => {
    const found = plain[name];
    if (typeof found !== 'string' && typeof found !== 'number') throw new Error(`test ${String(plain.tcId)} has no ${name}`);
    return String(found);
  };
  return {
    tcId: Number(plain.tcId),
    comment: String(plain.comment),
    result: asResult(plain.result),
    flags: asList(plain.flags, 'flags').map(String),
    field,
    bytes: (name) => Uint8Array.from(Buffer.from(field(name), 'hex')),
  };
}

export function readVectors(folder: string, file: string): { readonly total: number; readonly groups: readonly VectorGroup[] } {
  const whole = asObject(readJson(path.join(folder, file)), file);
  const groups = asList(whole.testGroups, 'testGroups').map((value): VectorGroup => {
    const plain = asObject(value, 'a group');
    return {
      tests: asList(plain.tests, 'tests').map(toTest),
      size: (name) => Number(plain[name]),
      publicKey: () => Uint8Array.from(Buffer.from(String(asObject(plain.publicKey, 'publicKey').pk), 'hex')),
    };
  });
  return { total: Number(whole.numberOfTests), groups };
}

/** Counts each test once, under what was shown of it, and names those that failed. */
export class Tally {
  readonly #shown = new Map<string, number>();
  readonly failed: string[] = [];

  constructor(
    readonly label: string,
    readonly total: number,
  ) {}

  check(test: VectorTest, shown: string, holds: boolean): void {
    if (holds) this.#shown.set(shown, (this.#shown.get(shown) ?? 0) + 1);
    else this.failed.push(`${test.tcId} (${test.comment || test.flags.join(', ')}): not ${shown}`);
  }

  get passed(): number {
    return [...this.#shown.values()].reduce((sum, count) => sum + count, 0);
  }

  /** "wycheproof aes_gcm: 316 of 316 (…)" */
  toString(): string {
    const shown = [...this.#shown].map(([what, count]) => `${count} ${what}`).join(', ');
    return `${this.label}: ${this.passed} of ${this.total} (${shown})`;
  }
}

/** True if the call throws or returns null or undefined: the primitive refused. */
export function refused(call: () => unknown): boolean {
  try {
    const value = call();
    return value === null || value === undefined;
  } catch {
    return true;
  }
}
