/** Prints facts about some bytes that need no key. */

/** Bits per byte of the distribution of byte values; 8 is what random bytes approach. */
export function entropy(bytes: Uint8Array): number {
  const counts = new Float64Array(256);
  for (const byte of bytes) counts[byte]++;
  return counts.reduce((sum, n) => (n === 0 ? sum : sum - (n / bytes.length) * Math.log2(n / bytes.length)), 0);
}

/** Operators and a tensor of the graph, each long enough not to turn up in random bytes by chance. */
const graphNames = ['AveragePool', 'ReduceMean', 'MatMul', 'ReduceMax', 'Softmax', 'detector_weights'];

export function namesIn(bytes: Uint8Array): string[] {
  return graphNames.filter((name) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(name));
}

const pieceLength = 16;

/** How many of the consecutive 16-byte pieces of `plain` stand anywhere in `bytes`. */
export function piecesOf(plain: Uint8Array, bytes: Uint8Array): number {
  const wanted = new Set<string>();
  for (let i = 0; i + pieceLength <= plain.length; i += pieceLength) {
    const piece = plain.subarray(i, i + pieceLength);
    // Runs of zeros and the like say nothing about where they came from.
    if (new Set(piece).size > 4) wanted.add(latin1(piece));
  }
  const text = latin1(bytes);
  let found = 0;
  for (let i = 0; i + pieceLength <= text.length; i++) if (wanted.delete(text.slice(i, i + pieceLength))) found++;
  return found;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** A table of what each of `parts` shows; `plain` must not be found in them. */
export function comparison(plain: Uint8Array, parts: Readonly<Record<string, Uint8Array>>): string[] {
  const row = (...cells: string[]): string => `  ${cells.map((cell, i) => (i ? cell.padStart(17) : cell.padEnd(12))).join('')}`;
  const number = (x: number): string => x.toLocaleString('en');
  return [
    row('', 'bytes', 'bits per byte', 'names of graph', '16-byte pieces of the model'.padStart(30)),
    ...Object.entries(parts).map(([label, bytes]) =>
      row(
        label,
        number(bytes.length),
        entropy(bytes).toFixed(2),
        `${namesIn(bytes).length} of ${graphNames.length}`,
        number(piecesOf(plain, bytes)).padStart(30),
      ),
    ),
  ];
}
