/**
 * Parses JSON of an unknown origin (RFC 8259), stricter than JSON.parse: no name twice in an object, no half of a surrogate pair, and bounds
 * for depth and number of values.
 */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = ReadonlyMap<string, Json>;

const MAX_DEPTH = 16;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const MAX_NUMBER = 64;
const WORDS: readonly (readonly [string, Json])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

/** How {@link parseJson} ends where it cannot go on. */
interface JsonErrors {
  readonly malformed: (what: string) => Error;
  readonly tooMuch: (what: string) => Error;
}

export const isObject = (value: Json | undefined): value is JsonObject => value instanceof Map;

export function parseJson(text: string, maxValues: number, errors: JsonErrors): Json {
  const parser = new JsonParser(text, maxValues, errors);
  const value = parser.value(0);
  parser.end();
  return value;
}

class JsonParser {
  readonly #text: string;
  readonly #errors: JsonErrors;
  #left: number;
  #at = 0;

  constructor(text: string, maxValues: number, errors: JsonErrors) {
    this.#text = text;
    this.#left = maxValues;
    this.#errors = errors;
  }

  value(depth: number): Json {
    if (this.#left-- === 0) throw this.#errors.tooMuch('its JSON has too many values');
    if (depth > MAX_DEPTH) throw this.#errors.tooMuch('its JSON is nested too deeply');
    switch (this.#peek()) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      default:
        return this.#word();
    }
  }

  end(): void {
    if (this.#peek() !== '') throw this.#unexpected();
  }

  #object(depth: number): JsonObject {
    const members = new Map<string, Json>();
    this.#list('}', () => {
      if (this.#peek() !== '"') throw this.#unexpected();
      const name = this.#string();
      if (members.has(name)) throw this.#errors.malformed(`its JSON has ${JSON.stringify(name.slice(0, 80))} twice`);
      this.#expect(':');
      members.set(name, this.value(depth + 1));
    });
    return members;
  }

  #array(depth: number): readonly Json[] {
    const values: Json[] = [];
    this.#list(']', () => values.push(this.value(depth + 1)));
    return values;
  }

  #list(close: string, item: () => void): void {
    this.#at += 1;
    if (this.#peek() !== close) {
      item();
      while (this.#peek() === ',') {
        this.#at += 1;
        item();
      }
    }
    this.#expect(close);
  }

  #string(): string {
    const from = this.#at;
    let end = from;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end < 0) throw this.#errors.malformed('a string of its JSON does not end');
    } while (this.#isEscaped(end));
    this.#at = end + 1;
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(from, end + 1)) as string;
    } catch {
      throw this.#errors.malformed('a string of its JSON is not valid');
    }
    if (/\p{Surrogate}/u.test(value)) throw this.#errors.malformed('a string of its JSON is not Unicode text');
    return value;
  }

  /** An odd number of backslashes stands before it. */
  #isEscaped(at: number): boolean {
    let before = at;
    while (this.#text[before - 1] === '\\') before -= 1;
    return (at - before) % 2 === 1;
  }

  #number(): number {
    NUMBER.lastIndex = 0;
    const [digits] = NUMBER.exec(this.#text.slice(this.#at, this.#at + MAX_NUMBER)) ?? [];
    if (digits === undefined || digits.length === MAX_NUMBER) throw this.#unexpected();
    this.#at += digits.length;
    return Number(digits);
  }

  /** `true`, `false`, `null`, or else a number. */
  #word(): Json {
    const word = WORDS.find(([spelling]) => this.#text.startsWith(spelling, this.#at));
    if (!word) return this.#number();
    this.#at += word[0].length;
    return word[1];
  }

  /** The next character that is not white space; empty at the end. */
  #peek(): string {
    for (;;) {
      const character = this.#text[this.#at] ?? '';
      if (character !== ' ' && character !== '\n' && character !== '\r' && character !== '\t') return character;
      this.#at += 1;
    }
  }

  #expect(character: string): void {
    if (this.#peek() !== character) throw this.#unexpected();
    this.#at += 1;
  }

  #unexpected(): Error {
    return this.#errors.malformed(`its JSON is not valid at character ${this.#at}`);
  }
}
