/** Finds the flag or argument that fills an option of the SDK, so that messages name the former alone. */
import type { Command } from 'commander';
import { ModelGuardError } from '../errors.js';

/** Options whose flag has another name. */
const FLAGS: Readonly<Record<string, string>> = {
  split: 'maxBytes',
  plaintextSha256: 'sha256',
  from: 'store',
  to: 'store',
  cache: 'cacheFolder',
  factors: 'factor',
  weights: 'weight',
  cert: 'clientCertificate',
  tls: 'ca',
  publishers: 'publisher',
  keys: 'set',
  payloadId: 'payload',
  password: 'passwordFile',
  next: 'new',
  seq: 'event',
  path: 'out',
  region: 's3Region',
  endpoint: 's3Endpoint',
};
/** Lists, by the flags that fill them in this order. */
const LISTS: Readonly<Record<string, readonly string[]>> = {
  recipients: ['recipient', 'machine', 'recipientPassphraseFile', 'passphraseFile'],
  identities: ['identity', 'hardware', 'passphraseFile'],
  verifier: ['signer'],
  factors: ['factor'],
  require: ['require'],
  pcrs: ['pcr'],
  keys: ['set'],
};
/** Options whose argument has another name. */
const ARGUMENTS: Readonly<Record<string, RegExp>> = {
  ref: /@/,
  name: /@|^NAME$/,
  version: /@/,
  container: /^IN$/,
  source: /^(IN|PATH|FILE.*)$/,
  target: /^OUT$/,
  artifact: /^ARTIFACT$/,
  log: /^FILE$/,
  statement: /^FILE$/,
};
/** Options that a profile may have filled. */
const PROFILE: Readonly<Record<string, string>> = {
  url: 'The address in the profile',
  serverKey: 'The server key in the profile',
  publishers: 'The publishers in the profile',
  tls: 'The certificates that the profile names',
  credentials: 'The credentials',
};

/** The beginning of a message: `--ratio`, `NAME@VERSION`, or words for what stands in the profile. */
export interface Label {
  readonly name: string;
  /** As it was typed. */
  readonly value?: string | undefined;
}

/** Undefined where no flag or argument of the command fills the option. */
export function labelOf(command: Command, option: string): Label | undefined {
  const [first = '', ...rest] = option.split('.').filter((part) => !WRAPPERS.has(part));
  const listed = entryOf(command, first);
  if (listed !== undefined) return listed;
  // The innermost part first: `tls.ca` is --ca, `split.ratio` is --ratio.
  for (const part of [first, ...rest].reverse()) {
    const label = flagOf(command, part) ?? argumentOf(command, part);
    if (label !== undefined) return label;
  }
  const name = PROFILE[first.replace(/\[.*/, '')];
  return name === undefined ? undefined : { name };
}
const WRAPPERS = new Set(['options', 'params', 'query', 'body', 'demand', 'rule', 'parts']);

/** The flag that gave entry `recipients[1]`. */
function entryOf(command: Command, part: string): Label | undefined {
  const [, list = '', index] = /^(\w+)\[(\d+)\]/.exec(part) ?? [];
  const flags = LISTS[list]?.flatMap((key) => valuesOf(command, key).map((value) => shown(command, key, value)));
  return flags?.[Number(index)];
}

function flagOf(command: Command, part: string): Label | undefined {
  const name = part.replace(/\[.*/, '');
  const candidates = [name, FLAGS[name], ...(LISTS[name] ?? [])].filter((key): key is string => key !== undefined);
  const key = candidates.find((one) => optionOf(command, one) !== undefined);
  if (key === undefined) return undefined;
  const values = valuesOf(command, key);
  return shown(command, key, values.length === 1 ? values[0] : undefined);
}

function argumentOf(command: Command, part: string): Label | undefined {
  const wanted = ARGUMENTS[part] ?? new RegExp(`^${part.toUpperCase().replace(/\W/g, '')}$`);
  const index = command.registeredArguments.findIndex((argument) => wanted.test(argument.name()));
  const argument = command.registeredArguments[index];
  return argument && labelled(argument.name(), command.processedArgs[index]);
}

const optionOf = (command: Command, key: string) => command.options.find((one) => one.attributeName() === key && !one.negate);

/** The values of a flag, as they were typed. */
function valuesOf(command: Command, key: string): readonly unknown[] {
  const value: unknown = command.getOptionValue(key);
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

const shown = (command: Command, key: string, value: unknown): Label =>
  labelled(optionOf(command, key)?.long ?? `--${key}`, value);

const labelled = (name: string, value: unknown): Label => ({ name, value: typeof value === 'string' ? value : undefined });

/** Characters of the longest path; all other values are shorter. */
const MAX_CHARACTERS = 4096;
/** Placeholders of paths. */
const PATHS = /\b(FILE|DIR|PATH|IN|OUT|SMALL|ARTIFACT|ARCHIVE)\b/;
const ADDRESS = /^[a-z][a-z0-9+.-]*:\/\//i;

/** Checks values before anything else. Words after `--` belong to another program. @throws INVALID_ARGUMENT */
export function checkValues(command: Command): void {
  const refuse = (label: string, placeholder: string, value: unknown): void => {
    if (value === '') throw new ModelGuardError('INVALID_ARGUMENT', `${label}: is empty`);
    if (typeof value === 'string' && value.length > MAX_CHARACTERS)
      throw new ModelGuardError('INVALID_ARGUMENT', `${label}: has more than ${MAX_CHARACTERS} characters`);
    if (PATHS.test(placeholder) && typeof value === 'string' && ADDRESS.test(value))
      throw new ModelGuardError('INVALID_ARGUMENT', `${label}: is an address; a path on this machine is wanted`);
  };
  for (const [index, argument] of command.registeredArguments.entries())
    if (!argument.variadic) refuse(argument.name(), argument.name(), command.processedArgs[index]);
  for (const option of command.options)
    for (const value of valuesOf(command, option.attributeName())) refuse(option.long ?? '', option.flags, value);
}
