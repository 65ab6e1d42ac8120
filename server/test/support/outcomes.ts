/** Outcomes of requests and tasks, in the short form that tests compare. */
import type { LightMyRequestResponse } from 'fastify';

/** The status of an answer, with the code of a refusal. */
export const outcomeOf = (answer: LightMyRequestResponse): string =>
  answer.statusCode < 300 ? String(answer.statusCode) : `${answer.statusCode} ${answer.json().error.code}`;
