/** Largest sizes that several rooms share. */

/** Bytes of a small part: 16 MiB of payload at most (docs/format.md, section 10), and room for the header. */
export const MAX_SMALL = 17 * 1024 * 1024;
/** Bytes of a path, as Linux takes it. */
export const MAX_PATH = 4096;
/** Characters of a URL. */
export const MAX_URL = 8192;
/** Pieces of one upload, as S3 takes them. */
export const MAX_PIECES = 10_000;
/** Bytes of certificates or a key in PEM. */
export const MAX_PEM = 1024 * 1024;
