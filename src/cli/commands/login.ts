import { resolve } from 'node:path';
import type { Command } from 'commander';
import { fingerprintOf } from '../../contract/index.js';
import { hasCode } from '../../errors.js';
import type { Context } from '../context.js';
import { example, withJson } from '../flags/common.js';
import { connect, publishersOf, type ServerFlags, withPublisher, withServer } from '../flags/server.js';
import { type Profile, readProfile, writeProfile } from '../profile.js';
import { looksLikeKey, readPublicText } from '../sdk.js';
import { rows } from '../text.js';

interface Flags extends ServerFlags {
  readonly url: string;
  readonly serverKey: string;
  readonly ca?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly json?: boolean;
}

export function registerLogin(program: Command, context: Context): void {
  const command = program
    .command('login')
    .description('log in to a guard server, verify it, and remember its address; no password is stored')
    .requiredOption('--url <URL>', 'its address, https://…')
    .requiredOption('--server-key <K>', 'its signing key (mgs1:…) or a file with it, from a source you trust')
    .option('--ca <FILE>', 'certificate authority of its certificate, where it is an own one')
    .option('--client-certificate <FILE>', 'certificate of this client, where the server asks for one')
    .option('--client-key <FILE>', 'its key');
  withJson(withPublisher(withServer(command)));
  example(
    command,
    'model-guard login --url https://guard.example.com --server-key mgs1:… --credentials account.txt \\',
    '  --publisher defects=mgs1:…',
  );
  command.action(async (flags: Flags) => {
    const { url } = flags;
    const serverKey = await publicKeyOf(flags.serverKey);
    const given: Profile = {
      url,
      serverKey,
      credentials: absolute(flags.credentials),
      ca: absolute(flags.ca),
      clientCertificate: absolute(flags.clientCertificate),
      clientKey: absolute(flags.clientKey),
      publishers: publishersOf(flags.publisher),
    };
    // The machine stays enrolled when another account logs in.
    const before = await profileBefore(flags.profile);
    const { device, state } = before?.serverKey === serverKey ? before : {};
    const known: Profile = { ...given, device, state };
    const guard = await connect(known, flags);
    const account = await guard.account.get({ signal: context.signal });
    // An account that must change its password may ask for nothing else yet.
    if (!account.mustChangePassword && account.role !== 'none') await guard.server({ signal: context.signal });
    const file = await writeProfile(flags.profile, known);
    if (account.mustChangePassword)
      context.note('This password was set by another person: change it now (`model-guard password --current FILE --new FILE`).');
    context.print(
      flags.json,
      { account, serverKey, profile: file },
      `Logged in to ${url} as ${account.email}\n${rows([
        ['role', account.role],
        ['server key', fingerprintOf(serverKey)],
        ['profile', file],
      ])}`,
    );
  });
}

/** A profile that another user can change is refused before the password leaves; one that is damaged is replaced. */
async function profileBefore(given: string | undefined): Promise<Profile | undefined> {
  try {
    return await readProfile(given);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'INVALID_ARGUMENT')) return undefined;
    throw error;
  }
}

/** A key text, or the text of the file of that name, as --signer takes it. Anything else is refused later, as a key. */
async function publicKeyOf(text: string): Promise<string> {
  if (looksLikeKey(text)) return text;
  const found = await readPublicText(text).catch((error: unknown) => {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  });
  return found ?? text;
}

const absolute = (path: string | undefined) => (path === undefined ? undefined : resolve(path));
