/** The files of deploy/: valid, hardened, and consistent with this server's flags, routes and keys. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { routes } from '@org/model-guard/server-kit';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { makeCommand } from '../src/start/command.js';
import { configure } from '../src/start/config.js';

const require = createRequire(import.meta.url);
const read = (file: string): string => readFileSync(fileURLToPath(new URL(`../deploy/${file}`, import.meta.url)), 'utf8');
const flags = makeCommand('0', () => Promise.resolve()).options;
const KEYS = ['signing', 'encryption', 'audit', 'field'].map((name) => `model_guard_${name}_key`);
const paths = Object.values(routes).map(({ path }) => path as string);

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}
type Kinds = Readonly<Record<string, new (manifest: unknown) => { validate(): void }>>;

/** Throws the objections of the Kubernetes schema. */
function validate(manifest: Manifest): void {
  const kinds = require(`kubernetes-models/${manifest.apiVersion}/${manifest.kind}`) as Kinds;
  const Kind = kinds[manifest.kind];
  if (!Kind) throw new Error(`no schema of ${manifest.kind}`);
  new Kind(manifest).validate();
}

/** The commands that the head of a file shows. */
const headOf = (file: string): string[] => [...read(file).matchAll(/^# {3}(.*)$/gm)].map(([, command = '']) => command);

describe('the Dockerfile', () => {
  const text = read('Dockerfile');
  const last = text.slice(text.lastIndexOf('\nFROM '));

  it('runs as an unprivileged user, writes to /data alone, and has probes', () => {
    expect(last).toMatch(/^USER 10001:10001$/m);
    expect(last).toMatch(/^VOLUME \["\/data"\]$/m);
    expect(last).toMatch(/^HEALTHCHECK .*CMD \["node", "server\/deploy\/health.mjs"\]$/m);
    expect(last).toMatch(/^ENV NODE_ENV=production$/m);
    expect(text).not.toMatch(/^(ENV|ARG) .*(SECRET|PASSWORD|KEY|TOKEN)/im);
  });

  it('starts from one base image, named by its digest, and takes in the security updates since', () => {
    const bases = [...text.matchAll(/^FROM (\S+)/gm)].map(([, image = '']) => image);
    expect(bases).toHaveLength(2);
    expect(new Set(bases).size).toBe(1);
    expect(bases[0]).toMatch(/^node:20-bookworm-slim@sha256:[0-9a-f]{64}$/);
    expect(last).toMatch(/^RUN apt-get update \\\n && apt-get upgrade -y/m);
    expect(last.indexOf('apt-get upgrade')).toBeLessThan(last.indexOf('\nUSER '));
  });

  it('leaves out the package managers, which the server never starts', () => {
    for (const tool of ['npm', 'npx', 'corepack', 'yarn']) expect(last, tool).toContain(` /usr/local/bin/${tool}`);
    expect(
      [...last.matchAll(/^(?:HEALTHCHECK .*CMD|ENTRYPOINT) (\[.*\])$/gm)].map(([, words = '']) => JSON.parse(words)[0]),
    ).toEqual(['node', 'node']);
  });

  it('starts the server with flags that it has', () => {
    const command = JSON.parse(/^CMD (\[.*\])$/m.exec(last)?.[1] ?? '[]') as string[];
    const given = command.filter((word) => word.startsWith('--'));
    expect(given).not.toEqual([]);
    for (const flag of given) expect(flags.map(({ long }) => long)).toContain(flag);
  });

  it('asks a route that exists', () => {
    expect(paths).toContain(/127\.0\.0\.1:8080(\/\w+)/.exec(read('health.mjs'))?.[1]);
  });
});

describe('the compose file', () => {
  const { services, secrets } = parse(read('compose.yaml')) as {
    services: Record<string, Record<string, unknown>>;
    secrets: Record<string, { readonly file: string }>;
  };

  it('finds every file that the commands of its head make in a clone, and is found by docker compose', () => {
    const root = mkdtempSync(path.join(tmpdir(), 'compose-'));
    try {
      const [tools, deploy] = [path.join(root, 'tools'), path.join(root, 'server/deploy')];
      for (const folder of [tools, deploy, path.join(root, 'server/deploy/YOUR')]) mkdirSync(folder, { recursive: true });
      for (const name of ['fullchain.pem', 'privkey.pem']) writeFileSync(path.join(deploy, 'YOUR', name), '');
      const standIns = {
        // keygen … --out FILE
        npx: 'for file; do :; done; : > "$file"',
        // chown … FILES
        sudo: 'for file; do :; done; [ -e "$file" ]',
        docker: '[ -e compose.yaml ]',
      };
      for (const [name, text] of Object.entries(standIns))
        writeFileSync(path.join(tools, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      writeFileSync(path.join(deploy, 'compose.yaml'), '');
      const { status, stderr } = spawnSync('bash', ['--norc', '-euc', headOf('compose.yaml').join('\n')], {
        cwd: root,
        env: { PATH: `${tools}:${process.env.PATH}` },
        encoding: 'utf8',
      });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const mounted = [...read('nginx.conf').matchAll(/\/etc\/nginx\/(tls\/[^;]+)/g)].map(([, file = '']) => file);
      expect(mounted).toHaveLength(2);
      for (const file of [...Object.values(secrets).map((secret) => secret.file), ...mounted])
        expect(existsSync(path.join(deploy, file)), file).toBe(true);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });

  it('gives both containers a read-only root, no privileges and no capability they do not need', () => {
    for (const [name, service] of Object.entries(services))
      expect(service, name).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
    for (const [name, service] of Object.entries(services)) expect(service.pids_limit, name).toBeLessThan(1024);
    // A core dump would hold keys.
    expect(services.guard?.ulimits).toMatchObject({ core: 0 });
    expect(services.nginx?.image).toMatch(/^nginx:1\.\d+-alpine@sha256:[0-9a-f]{64}$/);
    expect(services.guard?.tmpfs).toEqual(['/tmp:noexec,nosuid,nodev,size=64m']);
    expect(services.guard?.cap_add).toBeUndefined();
  });

  it('hands in the four keys as secrets, and sets variables that the server reads', () => {
    expect(Object.keys(secrets)).toEqual(KEYS);
    expect(services.guard?.secrets).toEqual(KEYS);
    const known = flags.map(({ envVar }) => envVar);
    for (const name of Object.keys(services.guard?.environment as object)) expect(known).toContain(name);
  });
});

/** Open files that the server needs for the most connections it takes by default. */
const OPEN_FILES = 4096 * 2 + 64;

describe('the systemd unit', () => {
  const text = read('model-guard-server.service');
  const values = (name: string): string[] =>
    [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);

  it('starts the server with flags and variables that it has', () => {
    const given = (values('ExecStart')[0] ?? '').split(' ').filter((word) => word.startsWith('--'));
    expect(given).not.toEqual([]);
    for (const flag of given) expect(flags.map(({ long }) => long)).toContain(flag);
    const variables = values('Environment').map((value) => value.split('=', 1)[0]);
    expect(variables).toContain('NODE_ENV');
    for (const name of variables) expect(['NODE_ENV', ...flags.map(({ envVar }) => envVar)]).toContain(name);
  });

  it('starts what npm ci puts into a clone, and is copied from where it lies there', () => {
    const clone = fileURLToPath(new URL('../..', import.meta.url));
    const [, program = ''] = /\/opt\/model-guard\/(\S+)/.exec(values('ExecStart')[0] ?? '') ?? [];
    const copied = headOf('model-guard-server.service').flatMap((line) => /\bcp (\S+)/.exec(line)?.[1] ?? []);
    for (const file of [program, ...copied]) expect(existsSync(path.join(clone, file)), file).toBe(true);
    expect(copied).toHaveLength(1);
  });

  it('allows the open files that the connections need, and no new privileges', () => {
    expect(Number(values('LimitNOFILE')[0])).toBeGreaterThanOrEqual(OPEN_FILES);
    for (const name of ['NoNewPrivileges', 'PrivateTmp', 'ProtectHome']) expect(values(name), name).toEqual(['yes']);
    expect([...values('ProtectSystem'), ...values('CapabilityBoundingSet')]).toEqual(['strict', '']);
  });
});

describe('nginx and its container', () => {
  const nginx = read('nginx.conf');
  const number = (directive: string): number => Number(new RegExp(`^\\s*${directive} (\\d+)s?;$`, 'm').exec(nginx)?.[1]);

  it('bound the connections of an address and the time until it speaks, and may open what their connections need', () => {
    expect(number('limit_conn addresses')).toBeLessThan(number('worker_connections') / 4);
    expect(number('client_header_timeout')).toBeLessThanOrEqual(10);
    expect(number('worker_rlimit_nofile')).toBeGreaterThanOrEqual(2 * number('worker_connections'));
    const { services } = parse(read('compose.yaml')) as { services: Record<string, { ulimits: { nofile: number } }> };
    expect(services.nginx?.ulimits.nofile).toBeGreaterThanOrEqual(number('worker_rlimit_nofile'));
    expect(services.guard?.ulimits.nofile).toBeGreaterThanOrEqual(OPEN_FILES);
  });
});

describe('the proxies that the server believes', () => {
  const accepted = (behindProxy: string) =>
    configure({ data: '/d', host: '0.0.0.0', behindProxy }, { NODE_ENV: 'production' }).trustedProxies;

  it('are nginx alone under compose, by its address', () => {
    const { services, networks } = parse(read('compose.yaml'));
    const address: string = services.nginx.networks.default.ipv4_address;
    expect(accepted(services.guard.environment.MODEL_GUARD_BEHIND_PROXY)).toEqual([`${address}/32`]);
    const subnet: string = networks.default.ipam.config[0].subnet;
    expect(address.split('.').slice(0, 3)).toEqual(subnet.split('.').slice(0, 3));
  });

  it('are named in every other file, and only they reach the server on Kubernetes', () => {
    expect(accepted(/--behind-proxy (\S+)/.exec(read('model-guard-server.service'))?.[1] ?? '')).toHaveLength(1);
    for (const file of ['guard', 'replicas']) {
      const text = read(`kubernetes/${file}.yaml`);
      expect(accepted(/MODEL_GUARD_BEHIND_PROXY\s+value: (\S+)/.exec(text)?.[1] ?? ''), file).toHaveLength(1);
      const policy = parseAllDocuments(text)
        .map((one) => one.toJS())
        .find(({ kind }) => kind === 'NetworkPolicy');
      for (const rule of policy.spec.ingress) expect(rule.from, file).toHaveLength(1);
    }
  });
});

const COMMON = ['ServiceAccount', 'Service', 'NetworkPolicy'];
const S3_KEYS = ['read_key_id', 'read_secret', 'write_key_id', 'write_secret'].map((name) => `model_guard_s3_${name}`);

describe.each([
  { file: 'guard', kinds: [...COMMON, 'StatefulSet'], secrets: KEYS, own: ['"replicas":1', '"ReadWriteOnce"', '"egress":[]'] },
  {
    file: 'replicas',
    kinds: [...COMMON, 'Deployment', 'PersistentVolumeClaim', 'PodDisruptionBudget'],
    secrets: [...KEYS, ...S3_KEYS, 'model_guard_database_url'],
    // Keys that one replica makes must reach the other replicas.
    own: ['"replicas":3', '"ReadWriteMany"', '"port":5432'],
  },
])('the Kubernetes manifests $file.yaml', ({ file, kinds, secrets, own }) => {
  const source = read(`kubernetes/${file}.yaml`);
  const manifests = parseAllDocuments(source).map((one) => one.toJS() as Manifest);
  const text = JSON.stringify(manifests);

  it('are what Kubernetes takes', () => {
    expect(manifests.map(({ kind }) => kind).sort()).toEqual(kinds.sort());
    for (const manifest of manifests) validate(manifest);
    const workload = manifests.find(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment');
    expect(() => validate({ ...workload, spec: { replicas: 'one' } } as unknown as Manifest)).toThrow();
  });

  it('are hardened, and ask routes that exist', () => {
    for (const fact of [
      '"runAsNonRoot":true',
      '"readOnlyRootFilesystem":true',
      '"allowPrivilegeEscalation":false',
      '"drop":["ALL"]',
      '"type":"RuntimeDefault"',
      '"automountServiceAccountToken":false',
      ...own,
    ])
      expect(text).toContain(fact);
    for (const [, path] of text.matchAll(/"path":"([^"]+)"/g)) expect(paths).toContain(path);
  });

  it('hand in every secret, and set variables that the server reads', () => {
    for (const name of secrets) expect(source).toContain(`--from-file=${name}=`);
    const known = flags.map(({ envVar }) => envVar);
    for (const [, name] of text.matchAll(/"name":"(MODEL_GUARD_[A-Z0-9_]+)"/g)) expect(known).toContain(name);
  });
});
