import { expect, it } from 'vitest';
import { referencesOf } from '../../../src/components/kubelet/objects/references.ts';
import { createTokens } from '../../../src/components/kubelet/objects/tokens.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';
import type { Client } from '../../../src/machinery/client/types.ts';

const pod: Pod = { metadata: { name: 'p', namespace: 'ns', uid: 'u' }, spec: { containers: [] } };

it('tokens are renewed when 80% of their life has passed, and used to their end when that fails', async () => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  let reachable = true;
  let issued = 0;
  const client = {
    resource: () => ({
      createSubresource: async () => {
        if (!reachable) throw new Error('connection refused');
        issued += 1;
        const expirationTimestamp = new Date(now + 3600_000).toISOString();
        return { spec: { expirationSeconds: 3600 }, status: { token: `t${issued}`, expirationTimestamp } };
      },
    }),
  } as unknown as Client;
  const tokens = createTokens(client, () => now);
  const ask = () => tokens.token(pod, '', 3600);
  expect(await ask()).toBe('t1');
  now += 2_800_000;
  expect(await ask()).toBe('t1');
  now += 100_000;
  reachable = false;
  expect(await ask()).toBe('t1');
  reachable = true;
  expect(await ask()).toBe('t2');
  now += 3_700_000;
  reachable = false;
  await expect(ask()).rejects.toThrow('failed to fetch token: connection refused');
  reachable = true;
  await ask();
  tokens.release('u');
  expect(await ask()).toBe('t4');
});

it('finds every ConfigMap and Secret that a pod names', () => {
  const found = referencesOf({
    spec: {
      imagePullSecrets: [{ name: 'pull' }],
      initContainers: [
        { name: 'i', envFrom: [{ configMapRef: { name: 'from' } }, { secretRef: { name: 'fromSecret' } }] },
      ],
      containers: [
        {
          name: 'c',
          env: [
            { name: 'A', valueFrom: { configMapKeyRef: { name: 'key', key: 'k' } } },
            { name: 'B', valueFrom: { secretKeyRef: { name: 'keySecret', key: 'k' } } },
          ],
        },
      ],
      volumes: [
        { name: 'a', configMap: { name: 'vol' } },
        { name: 'b', secret: { secretName: 'volSecret' } },
        { name: 'c', projected: { sources: [{ configMap: { name: 'proj' } }, { secret: { name: 'projSecret' } }] } },
      ],
    },
  });
  expect([...found.configMaps]).toEqual(['from', 'key', 'vol', 'proj']);
  expect([...found.secrets]).toEqual(['pull', 'fromSecret', 'keySecret', 'volSecret', 'projSecret']);
});
