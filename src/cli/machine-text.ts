/** Describes machines: how strong their factors are, and the terms of a binding. */
import type { HardwareFactor, HardwareFingerprint, MachineTerms } from '../index.js';

/** `any 3 of cpu, gpu, memory, drive (required); public default salts` */
export function termsText({ factors, atLeast, tpm, salts, saltsId }: MachineTerms): string {
  const names = factors
    .map(({ name, weight, required }) => `${name}${weight > 1 ? ` ×${weight}` : ''}${required ? ' (required)' : ''}`)
    .join(', ');
  const total = factors.reduce((sum, { weight }) => sum + weight, 0);
  const much = atLeast === total ? 'all of' : total === factors.length ? `any ${atLeast} of` : `weight ${atLeast} of`;
  const of = {
    default: 'public default salts',
    'this build': 'salts of this build',
    other: `salts of another build (${saltsId})`,
  };
  return [`${much} ${names}`, ...(tpm ? ['with its TPM'] : []), of[salts]].join('; ');
}

export const saltsText = ({ salts }: HardwareFingerprint): string =>
  salts.default
    ? 'Salts: the public defaults, so any build of model-guard opens here what is bound here (docs/format.md section 13).'
    : `Salts: this build's own (${salts.id}). Only builds with the same salts open what is bound with them.`;

const named = (factors: readonly HardwareFactor[], quality: HardwareFactor['quality']): string[] =>
  factors.filter((factor) => factor.quality === quality).map(({ name }) => name);

/** The strength of the factors against guessing, in words; docs/threat-model.md has the costs. */
export function strengthText({ factors }: HardwareFingerprint, terms?: MachineTerms): string {
  const [strong, weak, virtual] = [named(factors, 'strong'), named(factors, 'weak'), named(factors, 'virtual')];
  if (strong.length + weak.length + virtual.length === 0)
    return 'Nothing can be read here, so nothing can be bound to this machine by its factors.';
  const sentences = [
    strong.length > 0
      ? `Hard to guess from afar: ${strong.join(', ')}. Logs on the machine's own disk may still name it.`
      : 'Nothing here is known to be hard to guess: a person who knows this kind of machine may try out all of it.',
  ];
  if (virtual.length > 0)
    sentences.push(`Made by the hypervisor: ${virtual.join(', ')}. A copy of this virtual machine opens what this one opens.`);
  if (terms?.tpm) sentences.push('The TPM takes part: without it nothing opens, even if all factors are guessed.');
  else if (terms && strong.length > 0 && opensWithout(strong, terms))
    sentences.push(`It opens without ${strong.join(' and ')} too: --require ${strong[0]} would close that.`);
  return sentences.join(' ');
}

/** Whether a set of factors without `names` opens. */
function opensWithout(names: readonly string[], { factors, atLeast }: MachineTerms): boolean {
  const others = factors.filter(({ name }) => !names.includes(name));
  const required = factors.some(({ name, required }) => required && names.includes(name));
  return !required && others.reduce((sum, { weight }) => sum + weight, 0) >= atLeast;
}
