/** Which bytes of a part were written, in whatever order they came. */
export class Coverage {
  /** Apart from each other and ascending. */
  #ranges: { readonly start: number; readonly end: number }[] = [];

  /** Bytes [start, end). */
  add(start: number, end: number): void {
    if (start >= end) return;
    const apart = this.#ranges.filter((range) => range.end < start || range.start > end);
    const touching = this.#ranges.filter((range) => range.end >= start && range.start <= end);
    const joined = {
      start: Math.min(start, ...touching.map((range) => range.start)),
      end: Math.max(end, ...touching.map((range) => range.end)),
    };
    this.#ranges = [...apart, joined].sort((a, b) => a.start - b.start);
  }

  /** Whether [0, size) is complete. */
  covers(size: number): boolean {
    const [first] = this.#ranges;
    return size === 0 || (first !== undefined && first.start === 0 && first.end >= size);
  }
}
