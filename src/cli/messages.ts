/** Puts errors into words of the command line: flags and arguments instead of options of the SDK. */
import type { Command } from 'commander';
import { ERROR_CODES, faultOf, isError, type ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import { labelOf } from './option-labels.js';

/** Advice in words of the command line, where that of the SDK names its options. */
const ADVICE: Partial<Record<ModelGuardErrorCode, string>> = {
  VERIFIER_REQUIRED: "Give the publisher's public key with --signer, or --unsigned accept if you know the origin otherwise.",
  LEASE_UNTRUSTED: 'Load it from the guard server that issued the lease (--guard).',
  TIMED_OUT: 'Try again later, or over a better connection.',
  NATIVE_UNTRUSTED: 'Unset the variable, or install the package again.',
};

/** Commands that sign with the person's own key. */
const PUBLISHING = /^(publish|protect|rekey)$/;
const UNREGISTERED =
  'Sign with a key that is registered for this model, or have yours registered (`model-guard models publishers NAME --set …`).';

/** The whole message of `error`, which `command` has ended with. */
export function messageOf(error: ModelGuardError, command: Command | undefined): string {
  const general: string = ERROR_CODES[error.code].advice;
  const isGeneral = error.message.endsWith(general);
  const said = isGeneral ? error.message.slice(0, -general.length).trimEnd() : error.message;
  const advice = isGeneral ? ` ${adviceOf(error.code, command)}` : '';
  return withFlags(`${withLabel(error, said, command)}${advice}`);
}

/** Advice of commands without `--force`. */
const NOT_REPLACED = 'Choose another name or path, or remove what is there first.';
/** Advice about a container file, which no store serves. */
const OTHER_MODEL = 'Give the container of that model, or leave out --ref.';
const MOST_CAUSES = 10;

/** The causes of `error`, the nearest first, a line each, without stacks. */
export function causesOf(error: unknown): string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>([error]);
  let at: unknown = isError(error) ? error.cause : undefined;
  while (isError(at) && !seen.has(at) && lines.length < MOST_CAUSES) {
    seen.add(at);
    const inner = at instanceof AggregateError ? at.errors.map((one) => (isError(one) ? one.message : String(one))) : [];
    const code = 'code' in at ? ` [${String(at.code)}]` : '';
    lines.push(`${[at.message, ...inner].filter((text) => text !== '').join('; ') || at.name}${code}`);
    at = at.cause;
  }
  return lines;
}

/** Replaces the option at the beginning of an error by the flag that fills it. */
function withLabel(error: ModelGuardError, said: string, command: Command | undefined): string {
  const fault = faultOf(error);
  if (!fault) return said;
  const label = command && labelOf(command, fault.option);
  const rest = said.slice(fault.option.length + 2);
  if (label === undefined) return rest.charAt(0).toUpperCase() + rest.slice(1);
  const { name, value } = label;
  return value === undefined || rest.includes(JSON.stringify(value)) ? `${name}: ${rest}` : `${name} ${value}: ${rest}`;
}

function adviceOf(code: ModelGuardErrorCode, command: Command | undefined): string {
  if (code === 'INVALID_ARGUMENT') return `See \`${nameOf(command)} --help\`.`;
  if (code === 'SIGNATURE_INVALID' && PUBLISHING.test(command?.name() ?? '')) return UNREGISTERED;
  if (code === 'ALREADY_EXISTS' && command?.options.every(({ long }) => long !== '--force')) return NOT_REPLACED;
  if (code === 'REFERENCE_MISMATCH' && command?.name() === 'decrypt') return OTHER_MODEL;
  return ADVICE[code] ?? ERROR_CODES[code].advice;
}

/** `model-guard models show` */
export function nameOf(command: Command | undefined): string {
  const names: string[] = [];
  for (let at: Command | null | undefined = command; at; at = at.parent) names.unshift(at.name());
  return names.join(' ') || 'model-guard';
}

/** Where a text names an option and its flag, `(overwrite: true, --force)`, the flag stays. */
const withFlags = (text: string): string => text.replace(/\((?!--)[^()]*?, (--[^()]*)\)/g, '($1)');
