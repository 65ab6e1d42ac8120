/** Counts requests for Prometheus. Labels are routes, methods and statuses, and nothing personal. */
import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { implement } from './implement.js';

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

/** @param held bytes of bodies and answers in memory */
export function registerMetrics(app: FastifyInstance, held: () => number): void {
  // A registry of its own, so that two servers in one process do not count for each other.
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: 'model_guard_http_requests_total',
    help: 'Answered requests',
    labelNames: ['route', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'model_guard_http_request_duration_seconds',
    help: 'From the request to the end of its answer',
    labelNames: ['route'],
    buckets: SECONDS,
    registers,
  });
  const logins = new Counter({ name: 'model_guard_logins_total', help: 'Log-ins', labelNames: ['outcome'], registers });
  const leases = new Counter({ name: 'model_guard_leases_total', help: 'Leases asked for', labelNames: ['outcome'], registers });

  new Gauge({
    name: 'model_guard_held_bytes',
    help: 'Bytes of request bodies and large answers that are held in memory',
    registers,
    collect() {
      this.set(held());
    },
  });

  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.config.contract ?? 'none';
    const { statusCode: status, elapsedTime } = reply;
    requests.inc({ route, status });
    durations.observe({ route }, elapsedTime / 1000);
    const outcome = status < 300 ? 'success' : 'refused';
    if (route === 'token' || route === 'login') logins.inc({ outcome });
    if (route === 'takeLease') leases.inc({ outcome });
  });
  implement(app, 'metrics', async ({ reply }) => {
    await reply.type(registry.contentType).send(await registry.metrics());
  });
}
