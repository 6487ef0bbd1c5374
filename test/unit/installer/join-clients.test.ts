/** A join goes on when the control plane that it asks starts anew. */
import { afterEach, expect, it } from 'vitest';
import { buildKubeconfig, formatKubeconfig } from '../../../src/installer/kubeconfig/kubeconfig.ts';
import type { JoinContext } from '../../../src/installer/phases/context.ts';
import { adminClient, bootstrapClient, nodeClient } from '../../../src/installer/phases/join-clients.ts';
import { configMaps } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type AnsweringServer, answeringServer } from '../../parts/answering-server.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

let server: AnsweringServer | undefined;
afterEach(() => server?.close());

const kubeconfig = (url: string) =>
  formatKubeconfig(
    buildKubeconfig({
      server: url,
      caPem: '',
      clusterName: 'c',
      userName: 'u',
      user: { token: 'abcdef.0123456789abcdef' },
    }),
  );

function contextOf(url: string, patience: string): JoinContext {
  const root = scratchRoot({
    '/etc/kubernetes/kubelet.conf': kubeconfig(url),
    '/etc/kubernetes/admin.conf': kubeconfig(url),
  });
  const config = {
    discovery: { tlsBootstrapToken: 'abcdef.0123456789abcdef' },
    timeouts: { kubernetesAPICall: patience },
  };
  return { host: scratchHost(root), cluster: { server: url, caPem: '' }, config } as unknown as JoinContext;
}

const clients: [string, (context: JoinContext) => Client | Promise<Client>][] = [
  ['the bootstrap token', bootstrapClient],
  ['the kubelet', nodeClient],
  ['the administrator', adminClient],
];
const ref = { name: 'kubelet-config', namespace: 'kube-system' };

it.each(clients)('as %s, a connection that is cut is no end', async (_as, open) => {
  server = await answeringServer('cut', 'cut', 200);
  const client = await open(contextOf(server.url, '20s'));
  expect(await client.resource(configMaps).get(ref)).toMatchObject({ data: { a: 'b' } });
  expect(server.asked()).toBe(3);
  client.close();
});

it.each(clients)('as %s, patience ends after timeouts.kubernetesAPICall', async (_as, open) => {
  server = await answeringServer('cut');
  const client = await open(contextOf(server.url, '0s'));
  await expect(client.resource(configMaps).get(ref)).rejects.toThrow(/cut the connection/);
  client.close();
});
