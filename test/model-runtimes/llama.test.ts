/**
 * node-llama-cpp takes a model by path. With mmap it reads the pages of the memfd itself as long as it lives; without, it makes a copy. The
 * text must be that of the plain file either way.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { getLlama, LlamaCompletion, LlamaLogLevel } from 'node-llama-cpp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';
import { protectedModel } from './protected.js';
import { tinyGguf } from './tiny-gguf.js';

let llama: Awaited<ReturnType<typeof getLlama>>;
beforeAll(async () => {
  llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error });
});
afterAll(() => llama.dispose());

async function completion(modelPath: string, useMmap: boolean): Promise<string> {
  const model = await llama.loadModel({ modelPath, useMmap });
  const context = await model.createContext({ contextSize: 256 });
  const text = await new LlamaCompletion({ contextSequence: context.getSequence() }).generateCompletion('hello', {
    maxTokens: 8,
    temperature: 0,
  });
  await model.dispose();
  return text;
}

test.each([true, false])('a protected GGUF completes as the plain one does, with mmap %s', async (useMmap) => {
  // Fixed, because some weights predict the end of the text at once.
  const gguf = tinyGguf(new Random(1));
  const plain = path.join(temporaryFolder(), 'tiny.gguf');
  writeFileSync(plain, gguf);
  const expected = await completion(plain, useMmap);
  const model = await protectedModel({ 'tiny.gguf': gguf }, { as: 'path' });
  const text = await completion(model.path(), useMmap);
  model.dispose();
  expect(text.length).toBeGreaterThan(0);
  expect(text).toBe(expected);
});
