// Asks the registry for known vulnerabilities of the dependencies that users get, and fails where one is rated high or critical.
//   npm run audit
//   npm audit --json --omit=dev | node scripts/supply/audit.mjs -     judges an answer that is there already
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const FATAL = ['high', 'critical'];

function ask() {
  const { stdout, error } = spawnSync('npm', ['audit', '--json', '--omit=dev'], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  return stdout;
}

/** Ends the script: without an answer the check must not pass. */
function fail(reason) {
  console.error(`audit: ${reason}`);
  process.exit(2);
}

/** npm's report, of version 2: an advisory stands with the package that it is about, and dependents name that package. */
function parse(text) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    fail('the answer is not JSON');
  }
  if (answer.error || answer.message) fail(`the registry gave no report: ${answer.error?.summary ?? answer.message}`);
  if (answer.auditReportVersion !== 2 || typeof answer.vulnerabilities !== 'object') fail('the report has an unknown format');
  return Object.values(answer.vulnerabilities);
}

const vulnerabilities = parse(process.argv[2] === '-' ? readFileSync(0, 'utf8') : ask());
for (const { name, severity, range, via, fixAvailable } of vulnerabilities) {
  const reasons = via.map((cause) => (typeof cause === 'string' ? `through ${cause}` : `${cause.title} (${cause.url})`));
  console.log(`${severity}: ${name} ${range}: ${reasons.join('; ')}${fixAvailable ? '; a fix is available' : ''}`);
}
const fatal = vulnerabilities.filter(({ severity }) => FATAL.includes(severity));
if (fatal.length > 0) {
  console.error(`audit: ${fatal.length} of ${vulnerabilities.length} packages are rated high or critical`);
  process.exit(1);
}
console.log(`ok: ${vulnerabilities.length} packages with advisories, none of them rated high or critical`);
