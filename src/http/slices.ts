/** Small enough that a slow line moves one within any time limit. */
const SLICE = 64 * 1024;

/** Cuts bytes into slices, so that time limits of an upload hold for each slice and not for the whole. */
export async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += SLICE) yield bytes.subarray(at, at + SLICE);
}
