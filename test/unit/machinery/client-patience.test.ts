/** A client that asks again: what of a server that is away for a moment it endures, and what it tells at once. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { createClient } from '../../../src/machinery/client/client.ts';
import { configMaps } from '../../../src/machinery/client/resources.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

type Answer = 'cut' | number;

/** Gives these answers one after the other, the last one again and again. */
async function answering(...answers: Answer[]): Promise<{ url: string; asked: () => number }> {
  let count = 0;
  server = createServer((request, response) => {
    const answer = answers[Math.min(count++, answers.length - 1)];
    if (answer === 'cut') {
      request.socket.destroy();
      return;
    }
    response.statusCode = answer ?? 200;
    const body =
      answer === 200 ? { kind: 'ConfigMap', data: { a: 'b' } } : { kind: 'Status', message: 'no', code: answer };
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((listening) => server!.listen(0, '127.0.0.1', listening));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => count };
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
