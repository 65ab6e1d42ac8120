/** Routes that change something read the rights of their caller again. If these fail, a new route can be made that does not. */
import Fastify from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { describe, expect, it } from 'vitest';
import { demandContract } from '../../src/http/authorise.js';
import { implement } from '../../src/http/implement.js';

describe('a route that changes something', () => {
  it('does not start unless it was registered so that rights are read again', () => {
    const app = Fastify();
    demandContract(app);
    const config = { contract: 'createUser' } as const;
    expect(() => app.post('/users', { config }, async () => 'made')).toThrow(/reads its caller's rights again/);
    expect(() => app.get('/users', { config }, async () => 'listed')).not.toThrow();
  });

  it('fails where its handler did not read them again', async () => {
    const app = Fastify();
    app.setValidatorCompiler(validatorCompiler);
    app.setSerializerCompiler(serializerCompiler);
    app.decorateRequest('caller');
    const account = { id: '0'.repeat(32), subject: '0'.repeat(32), role: 'apiAdmin' } as const;
    app.addHook('onRequest', async (request) => {
      request.caller = { account, rights: { epoch: 0, access: 'leases.manage' }, address: '', request: '' };
    });
    implement(app, 'revokeLease', async () => undefined);
    const answer = await app.inject({ method: 'DELETE', url: `/leases/${'0'.repeat(32)}` });
    expect(answer.statusCode).toBe(500);
    expect(answer.body).toContain('without reading the rights');
  });
});
