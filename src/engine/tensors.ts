/** Tensors of a model, read one by one. */
import { ModelGuardError } from '../errors.js';
import type { ModelFiles, TensorInfo } from '../formats/index.js';

/** One tensor of a model: weights under a name. */
export class GuardedTensor {
  readonly #files: ModelFiles;
  readonly #place: TensorInfo['place'];
  /** As in the file; tensors within ONNX nodes and inner graphs are named by their place: `node[3].attribute[0].t`. */
  readonly name: string;
  /** As the format calls it: `F32` (safetensors), `Q4_K` (GGUF), `FLOAT` (ONNX). */
  readonly dtype: string;
  /** Sizes of the dimensions, the outermost first (GGUF files have it last); empty for a scalar. */
  readonly shape: readonly number[];
  /** Bytes. Undefined where the file has no bytes in one piece: typed values and text of ONNX. */
  readonly size: number | undefined;

  /** @internal */
  constructor({ name, dtype, shape, place }: TensorInfo, files: ModelFiles) {
    this.name = name;
    this.dtype = dtype;
    this.shape = shape;
    this.size = place?.length;
    this.#place = place;
    this.#files = files;
  }

  /**
   * The bytes of this tensor alone, little-endian, in guarded memory that is wiped with the model (as those of {@link GuardedFile.read}).
   * @throws SOURCE_UNSUPPORTED where `size` is undefined; what {@link GuardedFile.read} throws
   * @example
   * const bytes = await tensor.read();
   * const weights = new Float32Array(bytes.buffer, 0, bytes.length / 4);
   */
  async read(): Promise<Uint8Array> {
    const file = this.#place && this.#files.get(this.#place.file);
    if (this.#place && file) return await file.read(this.#place.offset, this.#place.length);
    throw new ModelGuardError('SOURCE_UNSUPPORTED', `The file does not hold ${JSON.stringify(this.name)} as bytes in one piece`, {
      advice: 'Let a runtime load the model, or export it with raw data.',
    });
  }
}

export const guardedTensors = (tensors: readonly TensorInfo[], files: ModelFiles): ReadonlyMap<string, GuardedTensor> =>
  new Map(tensors.map((tensor) => [tensor.name, new GuardedTensor(tensor, files)]));
