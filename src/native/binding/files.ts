/** Functions on files that Node does not offer. */

export interface FileBinding {
  /**
   * Makes a file (0600) and locks it, until released or until this process ends, however that happens; who holds it may remove it.
   * Undefined: another process holds it.
   */
  lockFile(path: string): Promise<{ release(): void } | undefined>;
  /** Gives a file another name in its folder, at once. ALREADY_EXISTS where that name is taken; a failure changes nothing. */
  renameNew(from: string, to: string): Promise<void>;
}
