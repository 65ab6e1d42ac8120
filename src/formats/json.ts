/**
 * Reads JSON of an unknown origin (RFC 8259) as its caller expects it, member by member, so that nothing else is ever held in memory. Stricter
 * than JSON.parse: no name twice in an object, and no half of a surrogate pair.
 */

const MAX_DEPTH = 16;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const MAX_NUMBER = 64;

/** The errors of a {@link JsonReader}. */
interface JsonErrors {
  readonly malformed: (what: string) => Error;
  readonly tooMuch: (what: string) => Error;
}

/** Each method takes the value of its type that stands next, and refuses any other. */
export class JsonReader {
  readonly #text: string;
  readonly #errors: JsonErrors;
  #at = 0;

  constructor(text: string, errors: JsonErrors) {
    this.#text = text;
    this.#errors = errors;
  }

  /** Calls `member` for each name; it must take the value. Names are remembered: `most` of them. */
  object(most: number, member: (name: string) => void): void {
    const names = new Set<string>();
    this.#list('{', '}', () => {
      const name = this.string();
      if (names.has(name)) throw this.#errors.malformed(`its JSON has ${JSON.stringify(name.slice(0, 80))} twice`);
      if (names.size === most) throw this.#errors.tooMuch(`an object of its JSON has more than ${most} members`);
      names.add(name);
      this.#expect(':');
      member(name);
    });
  }

  /** A list of at most `most` numbers. */
  numbers(most: number): readonly number[] {
    const values: number[] = [];
    this.#list('[', ']', () => {
      if (values.length === most) throw this.#errors.malformed(`a list of its JSON has more than ${most} numbers`);
      values.push(this.#number());
    });
    return values;
  }

  string(): string {
    if (this.#peek() !== '"') throw this.#unexpected('text');
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

  /** Takes `null` if it stands next. */
  isNull(): boolean {
    return this.#word('null');
  }

  /** Goes past a value of any type. Names within it may repeat, because they are not read. */
  skip(depth = 0): void {
    if (depth > MAX_DEPTH) throw this.#errors.tooMuch('its JSON is nested too deeply');
    const next = this.#peek();
    if (next === '[') this.#list('[', ']', () => this.skip(depth + 1));
    else if (next === '{')
      this.#list('{', '}', () => {
        this.string();
        this.#expect(':');
        this.skip(depth + 1);
      });
    else if (next === '"') this.string();
    else if (!['true', 'false', 'null'].some((word) => this.#word(word))) this.#number();
  }

  end(): void {
    if (this.#peek() !== '') throw this.#unexpected('its end');
  }

  #list(open: string, close: string, item: () => void): void {
    this.#expect(open);
    if (this.#peek() !== close) {
      item();
      while (this.#peek() === ',') {
        this.#at += 1;
        item();
      }
    }
    this.#expect(close);
  }

  /** An odd number of backslashes stands before it. */
  #isEscaped(at: number): boolean {
    let before = at;
    while (this.#text[before - 1] === '\\') before -= 1;
    return (at - before) % 2 === 1;
  }

  #number(): number {
    this.#peek();
    NUMBER.lastIndex = 0;
    const [digits] = NUMBER.exec(this.#text.slice(this.#at, this.#at + MAX_NUMBER)) ?? [];
    if (digits === undefined || digits.length === MAX_NUMBER) throw this.#unexpected('a number');
    this.#at += digits.length;
    return Number(digits);
  }

  #word(word: string): boolean {
    this.#peek();
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
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
    if (this.#peek() !== character) throw this.#unexpected(JSON.stringify(character));
    this.#at += 1;
  }

  #unexpected(wanted: string): Error {
    return this.#errors.malformed(`at character ${this.#at} of its JSON, ${wanted} must stand`);
  }
}
