#!/usr/bin/env node
await import('../dist/cli.js').catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.error(`${error.message}\nIn a clone, run \`npm ci\` first.`);
  process.exitCode = 1;
});
