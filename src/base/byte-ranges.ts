/** Keeps a set of bytes as ranges, which may be added in any order and more than once. */

interface ByteRange {
  readonly start: number;
  /** After the last byte. */
  readonly end: number;
}

export class ByteRanges {
  /** No two of them touch. */
  #ranges: readonly ByteRange[] = [];

  /** Adds the bytes [start, end). */
  add(start: number, end: number): void {
    if (start >= end) return;
    const merged = { start, end };
    const apart = this.#ranges.filter((range) => {
      if (range.end < start || end < range.start) return true;
      merged.start = Math.min(merged.start, range.start);
      merged.end = Math.max(merged.end, range.end);
      return false;
    });
    this.#ranges = [...apart, merged];
  }

  /** Whether all of the bytes [start, end) are in the set; true for an empty range. */
  covers(start: number, end: number): boolean {
    return start >= end || this.#ranges.some((range) => range.start <= start && end <= range.end);
  }

  /** Whether any of the bytes [start, end) is in the set; false for an empty range. */
  overlaps(start: number, end: number): boolean {
    return start < end && this.#ranges.some((range) => range.start < end && start < range.end);
  }
}
