import type { Command } from 'commander';
import type { ContainerInfo, SlotInfo, Verified } from '../../types.js';
import { inspect, verify } from '../../verify.js';
import type { Context, RunFlags } from '../context.js';
import { example, type OriginFlags, originOf, usage, withJson, withSigner, withThreads } from '../flags.js';
import { termsText } from '../machine-text.js';
import { formatBytes, rows } from '../output.js';
import { type StoreFlags, storesOf, withStores } from '../store-flags.js';

export function registerInspect(program: Command, context: Context): void {
  const command = program
    .command('inspect')
    .description('show what a container or small part says about itself; no key is needed, nothing is verified')
    .argument('<FILE>', 'container or small part');
  example(withJson(command), 'model-guard inspect defects.mguard');
  command.action(async (file: string, { json }: { readonly json?: boolean }) => {
    const info = await inspect(file);
    context.print(json, info, describe(info));
  });
}

interface VerifyFlags extends OriginFlags, StoreFlags, RunFlags {
  readonly json?: boolean;
}

export function registerVerify(program: Command, context: Context): void {
  const command = program
    .command('verify')
    .description("check the publisher's signature and, where the payload is there, that it is the one that was signed")
    .argument('<FILE|N@V>', 'container or small part; with --store, name@version');
  withThreads(withJson(withStores(withSigner(command))));
  example(
    command,
    'model-guard verify defects.mguard --signer mgs1:…',
    'model-guard verify defects@3 --signer mgs1:… --store /srv/models',
  );
  command.action(async (subject: string, flags: VerifyFlags) => {
    const { verifier } = await originOf(flags);
    if (verifier === undefined) throw usage('Give the publisher with --signer');
    const stored = [flags.store, flags.smallStore, flags.bigStore].some((folder) => folder !== undefined);
    const source = stored ? { ref: subject, from: storesOf(flags) } : subject;
    const result = await verify(source, { verifier, ...context.run(flags) });
    const { name, version } = result.info;
    const { ref, ...checked } = { ref: `${name}@${version}`, signature: 'checked', payload: result.payload };
    context.print(flags.json, { ref, ...checked, digest: result.info.digest }, verdict(ref, result));
  });
}

const verdict = (ref: string, { payload, info }: Verified): string =>
  `${ref} comes from the publisher\n${rows([
    ['signature', 'checked'],
    [
      'payload',
      payload === 'checked' ? 'checked: it is the one that was signed' : 'not here, so not checked: this is a small part',
    ],
    ['digest', info.digest],
  ])}`;

function describe(info: ContainerInfo): string {
  const { name, version, format, created, kind, headerBytes, payloadBytes, parts } = info;
  const sections = [
    `${name}@${version}  (${kind === 'small' ? 'small part' : 'container'})`,
    diagram(info),
    rows([
      ['format', format],
      ['sealed', created],
      ['header', `${headerBytes} bytes`],
      ['payload', `${payloadBytes} bytes (${formatBytes(payloadBytes)}), ${info.plaintextSize} of padded plaintext`],
      ['payload id', info.payloadId],
      ['digest', info.digest],
      ...(parts ? ([['big part', `${parts.bigName}, ${parts.bigBytes} bytes`]] as const) : []),
    ]),
    `Recipients (${info.slots.length})\n${rows(info.slots.map((slot, index) => [`${index + 1}  ${slotName(slot)}`, slotDetail(slot)]))}`,
    info.signatures.length > 0
      ? `Signatures (not verified here: model-guard verify)\n${rows(info.signatures.map(({ role, keyId }) => [role, `key id ${keyId}`]))}`
      : 'Not signed',
  ];
  return sections.join('\n\n');
}

function diagram({ kind, headerBytes, payloadBytes, parts }: ContainerInfo): string {
  const cells = [`header ${headerBytes}`, 'salt, commitment 56'];
  if (kind === 'container') return boxes([...cells, `chunks ${payloadBytes - 56}`]);
  const first = (parts?.smallBytes ?? 0) - headerBytes - 56;
  return boxes([...cells, `first chunk bytes ${first}`], `big part ${parts?.bigBytes ?? 0} (elsewhere)`);
}

function boxes(cells: readonly string[], absent?: string): string {
  const line = (left: string, middle: string, right: string) =>
    `  ${left}${cells.map((cell) => '─'.repeat(cell.length + 2)).join(middle)}${right}`;
  const tail = absent === undefined ? '' : ` + ${absent}`;
  return [line('┌', '┬', '┐'), `  │${cells.map((cell) => ` ${cell} `).join('│')}│${tail}`, line('└', '┴', '┘')].join('\n');
}

const slotName = ({ type, number, critical }: SlotInfo): string =>
  `${type === 'unknown' ? `unknown (${number})` : type}${critical ? ', critical' : ''}`;

function slotDetail({ keyId, policy, machine }: SlotInfo): string {
  const time = (seconds: number) => new Date(seconds * 1000).toISOString();
  return [
    keyId === undefined ? 'no key id' : `key id ${keyId}`,
    ...(machine ? [`opens with ${termsText(machine)}`] : []),
    ...(policy ? [`lease ${policy.leaseId} from ${time(policy.notBefore)} until ${time(policy.notAfter)}`] : []),
  ].join(', ');
}
