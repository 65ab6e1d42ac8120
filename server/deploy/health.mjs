// Whether the server in this container answers: the container's health check.
import { get } from 'node:http';

const url = process.env.MODEL_GUARD_HEALTH_URL ?? 'http://127.0.0.1:8080/ready';
get(url, { timeout: 4000 }, (response) => process.exit(response.statusCode === 200 ? 0 : 1))
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1));
