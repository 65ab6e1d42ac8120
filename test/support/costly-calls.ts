/** Records how much text every costly built-in function is given: normalisation, patterns, parsers and decoders. */

interface Call {
  readonly name: string;
  /** Characters. */
  readonly length: number;
}
type Any = (this: unknown, ...given: unknown[]) => unknown;

/** Whose argument is the text, by name; `this` where the function is a method of the text. */
const WATCHED: readonly (readonly [holder: object, name: string, textOf: 'this' | 'argument'])[] = [
  [String.prototype, 'normalize', 'this'],
  [String.prototype, 'match', 'this'],
  [String.prototype, 'matchAll', 'this'],
  [String.prototype, 'replace', 'this'],
  [String.prototype, 'replaceAll', 'this'],
  [String.prototype, 'split', 'this'],
  [RegExp.prototype, 'exec', 'argument'],
  [RegExp.prototype, 'test', 'argument'],
  [JSON, 'parse', 'argument'],
  [Date, 'parse', 'argument'],
  [URL, 'canParse', 'argument'],
  [Buffer, 'from', 'argument'],
  [globalThis, 'decodeURIComponent', 'argument'],
  [globalThis, 'Number', 'argument'],
  [globalThis, 'URL', 'argument'],
];

/** Calls that `task` makes, of texts of which `counts` is true. */
export async function costlyCalls(task: () => unknown, counts: (text: string) => boolean): Promise<readonly Call[]> {
  const calls: Call[] = [];
  const restore = WATCHED.map(([holder, name, textOf]) => {
    const real = Reflect.get(holder, name) as Any;
    const note = (self: unknown, given: readonly unknown[]): void => {
      const text = textOf === 'this' ? self : given[0];
      if (typeof text === 'string' && counts(text)) calls.push({ name, length: text.length });
    };
    const descriptor = Object.getOwnPropertyDescriptor(holder, name) as PropertyDescriptor;
    const watching = new Proxy(real, {
      apply: (target, self, given: unknown[]) => {
        note(self, given);
        return Reflect.apply(target, self, given);
      },
      construct: (target, given: unknown[], made) => {
        note(undefined, given);
        return Reflect.construct(target, given, made) as object;
      },
    });
    Object.defineProperty(holder, name, { ...descriptor, value: watching });
    return () => void Object.defineProperty(holder, name, descriptor);
  });
  try {
    await task();
  } finally {
    for (const one of restore) one();
  }
  return calls;
}
