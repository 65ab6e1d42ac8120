// Starts PostgreSQL and an S3 server on loopback, in a temporary folder, for one command, which finds them in its environment
// (MG_TEST_POSTGRES, MG_TEST_S3, MG_TEST_S3_KEYS):  node scripts/services.mjs [--only postgres|s3] -- COMMAND ARGS…
import './installed.mjs';
import { spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import * as postgres from './services/postgres.mjs';
import { Processes } from './services/processes.mjs';
import * as radosgw from './services/radosgw.mjs';

const SERVICES = { postgres, s3: radosgw };
const PACKAGES = 'radosgw ceph-mon ceph-osd ceph-common postgresql';
/** Another process may take a free port before its service does: then with others. */
const ATTEMPTS = 3;

function fail(message) {
  console.error(`services: ${message}`);
  process.exit(1);
}

function parsed([...args]) {
  const names = [];
  while (args[0] === '--only') {
    const [, name] = args.splice(0, 2);
    if (!Object.hasOwn(SERVICES, name ?? '')) fail(`--only takes one of: ${Object.keys(SERVICES).join(', ')}`);
    names.push(name);
  }
  if (args.shift() !== '--' || args.length === 0) fail('usage: node scripts/services.mjs [--only postgres|s3] -- COMMAND ARGS…');
  return { wanted: names.length === 0 ? Object.keys(SERVICES) : names, command: args };
}

const { wanted, command } = parsed(process.argv.slice(2));
const missing = wanted.flatMap((name) => SERVICES[name].missing());
if (missing.length > 0) fail(`missing: ${missing.join(', ')}. On Debian: apt-get install -y --no-install-recommends ${PACKAGES}`);

const running = new Set();
let told;
let child;

const stopServices = () => Promise.all([...running].map((processes) => processes.stop()));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    told ??= signal;
    // While the command runs, its services stay: it may need them to end well.
    if (child) child.kill('SIGTERM');
    else stopServices();
  });
}

const folder = mkdtempSync(path.join(tmpdir(), 'model-guard-services-'));

async function started(name) {
  for (let attempt = 1; ; attempt += 1) {
    const processes = new Processes();
    running.add(processes);
    try {
      return await SERVICES[name].start(processes, path.join(folder, `${name}-${attempt}`));
    } catch (error) {
      await processes.stop();
      running.delete(processes);
      if (told || attempt === ATTEMPTS) throw error;
      console.error(`services: ${name} did not start, once more: ${error.message}`);
    }
  }
}

/** The command's exit status, as a shell would give it. */
async function ran(environment) {
  child = spawn(command[0], command.slice(1), { stdio: 'inherit', env: { ...process.env, ...environment } });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

let status = 1;
try {
  const uid = wanted.includes('postgres') ? await postgres.owner() : undefined;
  if (uid !== undefined) chownSync(folder, uid, process.getgid());
  const all = await Promise.allSettled(wanted.map(started));
  const failed = all.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  if (!told) status = await ran(Object.assign({}, ...all.map((one) => one.value)));
} catch (error) {
  if (!told) console.error(`services: ${error.message}`);
} finally {
  await stopServices();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(told ? 128 + constants.signals[told] : status);
