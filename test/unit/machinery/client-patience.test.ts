/** A client that asks again: what of a server that is away for a moment it endures, and what it tells at once. */
import { afterEach, expect, it } from 'vitest';
import { createClient } from '../../../src/machinery/client/client.ts';
import { configMaps } from '../../../src/machinery/client/resources.ts';
import { type Answer, type AnsweringServer, answeringServer } from '../../parts/answering-server.ts';

let server: AnsweringServer | undefined;
afterEach(() => server?.close());

async function answering(...answers: Answer[]): Promise<AnsweringServer> {
  server = await answeringServer(...answers);
  return server;
}

const ref = { name: 'x', namespace: 'kube-system' };

it.each([
  ['a connection that is cut', ['cut', 200]],
  ['a server that is not ready', [503, 200]],
  ['too many requests', [429, 200]],
] as [string, Answer[]][])('%s is asked again', async (_name, answers) => {
  const { url, asked } = await answering(...answers);
  const client = createClient({ server: url }, { patienceMs: 10_000 });
  expect(await client.resource(configMaps).get(ref)).toMatchObject({ data: { a: 'b' } });
  expect(asked()).toBe(2);
  client.close();
});

it.each([
  ['what is forbidden', 403, 10_000, undefined],
  ['a conflict', 409, 10_000, undefined],
  ['anything without patience', 503, undefined, undefined],
  ['what one call is impatient about', 503, 10_000, 0],
] as const)('%s is told at once', async (_name, status, patienceMs, ofCall) => {
  const { url, asked } = await answering(status);
  const client = createClient({ server: url }, patienceMs === undefined ? {} : { patienceMs });
  const options = ofCall === undefined ? {} : { patienceMs: ofCall };
  await expect(client.resource(configMaps).get(ref, options)).rejects.toMatchObject({ code: status });
  expect(asked()).toBe(1);
  client.close();
});

it('the last answer is told when patience ends, and when the caller has waited long enough', async () => {
  const { url, asked } = await answering(503);
  const client = createClient({ server: url }, { patienceMs: 400 });
  await expect(client.resource(configMaps).get(ref)).rejects.toMatchObject({ code: 503 });
  expect(asked()).toBeGreaterThan(1);
  const signal = AbortSignal.timeout(100);
  await expect(client.resource(configMaps).get(ref, { signal, patienceMs: 10_000 })).rejects.toMatchObject({
    code: 503,
  });
  client.close();
});

it('a connection that is cut is told with the server and the question', async () => {
  const { url } = await answering('cut');
  const client = createClient({ server: url });
  await expect(client.resource(configMaps).get(ref)).rejects.toMatchObject({
    code: 'ECONNRESET',
    message: `${new URL(url).host} cut the connection (GET /api/v1/namespaces/kube-system/configmaps/x)`,
  });
  client.close();
});
