/** Personal data, gathered from all pages of an export. */

import { paged } from '../http/pages.js';
import type { PersonalData } from '../records.js';
import type { CallerOptions } from '../types.js';

/** Of all pages together. */
export async function exportPages(
  { signal }: CallerOptions,
  ask: (query: { cursor?: string | undefined }) => Promise<PersonalData & { readonly next?: string | undefined }>,
): Promise<PersonalData> {
  const pages = paged(signal, async (cursor) => {
    const { next, ...page } = await ask({ cursor });
    return { items: [page], next };
  });
  const all = [];
  for await (const page of pages) all.push(page);
  const [first] = all;
  if (!first) throw new TypeError('a list of pages without a page');
  return {
    account: first.account,
    devices: all.flatMap(({ devices }) => devices),
    entitlements: all.flatMap(({ entitlements }) => entitlements),
    leases: all.flatMap(({ leases }) => leases),
    events: all.flatMap(({ events }) => events),
  };
}
