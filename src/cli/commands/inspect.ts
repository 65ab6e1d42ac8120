import type { Command } from 'commander';
import { type ContainerInfo, inspect, type SlotInfo } from '../../index.js';

import type { Context } from '../context.js';
import { example, withJson } from '../flags/common.js';
import { termsText } from '../machine-text.js';
import { formatBytes, rows } from '../text.js';

export function registerInspect(program: Command, context: Context): void {
  const command = program
    .command('inspect')
    .description('show the header of a container or small part; no key is needed, nothing is verified')
    .argument('<FILE>', 'container or small part');
  example(withJson(command), 'model-guard inspect defects.mguard');
  command.action(async (file: string, { json }: { readonly json?: boolean }) => {
    const info = await inspect(file);
    context.print(json, info, describe(info));
  });
}

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
      ['payload digest', info.digest],
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
