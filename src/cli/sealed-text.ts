/** Describes containers and published versions that a command has made. */
import type { ProtectedModel, SealedFile } from '../index.js';
import { formatBytes, rows } from './text.js';

export const UNSIGNED_NOTE = 'Not signed: every loader must accept an unsigned model. Use --sign to sign it.';

export const publishedText = ({ ref, payloadId, digest, smallBytes, bigBytes }: ProtectedModel): string =>
  `${ref} is published\n${rows([
    ['small part', formatBytes(smallBytes)],
    ['big part', formatBytes(bigBytes)],
    ['payload id', payloadId],
    ['payload digest', digest],
  ])}`;

export const sealedText = (out: string, { ref, bytes, payloadId, digest }: SealedFile): string =>
  `${out} holds ${ref}\n${rows([
    ['size', formatBytes(bytes)],
    ['payload id', payloadId],
    ['payload digest', digest],
  ])}`;
