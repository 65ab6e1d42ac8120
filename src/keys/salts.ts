/** Makes salts of an organisation, which a build takes from a file (MODEL_GUARD_SALTS). */
import { filePath, parse } from '../base/validate.js';
import { call } from '../native/index.js';

/**
 * Writes random salts to a new file.
 * @throws INVALID_ARGUMENT · ALREADY_EXISTS, NOT_FOUND, PERMISSION_DENIED, READ_ONLY, NO_SPACE, IO_FAILED
 */
export async function writeSaltsFile(path: string): Promise<void> {
  const file = parse(filePath, path, 'path');
  await call((native) => native.writeSaltsFile(file));
}
