import { Worker } from 'node:worker_threads';

const loader = import.meta.resolve('tsx/esm/api');

/** A worker whose file is TypeScript. `--import` reaches the main thread alone, so each worker registers the loader itself. */
export function startWorker(file: string, workerData: unknown): Worker {
  const entry = new URL(file, import.meta.url).href;
  const code = `import(${JSON.stringify(loader)}).then(({ register }) => { register(); return import(${JSON.stringify(entry)}); });`;
  return new Worker(code, { eval: true, workerData });
}
