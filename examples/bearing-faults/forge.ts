/** The attacker's model: ours, with one number changed so that it calls every bearing healthy. */
export function forge(model: Uint8Array): Uint8Array {
  const forged = Buffer.from(model);
  // A tensor in this file: … its name, then the field of its data (key 0x4a, 16 bytes), then the floats, one per class.
  const before = Buffer.concat([Buffer.from('output_bias'), Buffer.of(0x4a, 16)]);
  const at = forged.lastIndexOf(before);
  if (at < 0) throw new Error('model.onnx is not laid out as train.ts writes it');
  forged.writeFloatLE(1000, at + before.length); // 'healthy' is the first class
  return forged;
}
