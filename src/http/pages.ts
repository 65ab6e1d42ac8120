/** Pages for people, by something that answers in the place of a storage: a proxy, a gateway, the log-in page of a network. */
import type { HttpResponse } from './response.js';

/** Object stores answer programs with XML, JSON or nothing; what they hold may be called plain text, hardly ever a page. */
export const isPage = ({ status, headers }: Pick<HttpResponse, 'status' | 'headers'>): boolean =>
  (status < 300 ? /^text\/html\b/i : /^text\/(html|plain)\b/i).test(headers['content-type'] ?? '');
