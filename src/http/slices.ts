/** Small enough that a slow line moves one within any time limit. */
const SLICE = 64 * 1024;

/** What goes out in slices is waited for slice by slice, not as a whole. */
export async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += SLICE) yield bytes.subarray(at, at + SLICE);
}
