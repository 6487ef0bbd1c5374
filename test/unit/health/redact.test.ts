import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { redact, redactObject } from '../../../src/installer/health/redact.ts';

const keys = (['ec', 'rsa'] as const).map((type) => {
  const { privateKey } =
    type === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return [type, privateKey] as const;
});

describe('a text for others', () => {
  test.each(keys)('shows nothing of a key (%s), neither as PEM nor as the base64 of a kubeconfig', (type, key) => {
    for (const format of type === 'ec' ? (['pkcs8', 'sec1'] as const) : (['pkcs8', 'pkcs1'] as const)) {
      const pem = key.export({ type: format as 'pkcs8', format: 'pem' }) as string;
      const middle = pem.split('\n')[1] as string;
      expect(redact(`before\n${pem}after`)).toBe('before\n<redacted>\nafter');
      const encoded = Buffer.from(pem).toString('base64');
      expect(redact(`    other: ${encoded}`)).toBe('    other: <redacted>');
      expect(redact(`client-key-data: ${encoded}`)).not.toContain(Buffer.from(middle).toString('base64').slice(4, 40));
    }
  });

  test.each([
    ['token: abc123', 'token: "<redacted>"'],
    ['"password": "a b c", "user": "me"', '"password": "<redacted>", "user": "me"'],
    ['DB_PASSWORD=hunter2 next', 'DB_PASSWORD="<redacted>" next'],
    ['kinit join 10.0.0.1:6443 --token oh6b6n.5bq4287h3dl0fonn', 'kinit join 10.0.0.1:6443 --token oh6b6n.<redacted>'],
    ['Authorization: Bearer abc.def', 'Authorization: Bearer <redacted>'],
    ['x eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln y', 'x <redacted> y'],
    ['https://me:pass@registry.example/v2', 'https://me:<redacted>@registry.example/v2'],
    ['the pod kube-system/coredns is Ready', 'the pod kube-system/coredns is Ready'],
    ['https://10.0.0.1:6443/livez', 'https://10.0.0.1:6443/livez'],
  ])('%s becomes %s', (given, expected) => {
    expect(redact(given)).toBe(expected);
  });

  test('has objects without values of variables and without the manifest that kubectl keeps', () => {
    const last = 'kubectl.kubernetes.io/last-applied-configuration';
    const pod = {
      metadata: { name: 'a', annotations: { [last]: 'x', b: 'c' }, managedFields: [] },
      spec: {
        containers: [
          {
            env: [
              { name: 'A', value: 'secret' },
              { name: 'B', valueFrom: {} },
            ],
          },
        ],
      },
    };
    expect(redactObject({ items: [pod] })).toEqual({
      items: [
        {
          metadata: { name: 'a', annotations: { b: 'c' } },
          spec: {
            containers: [
              {
                env: [
                  { name: 'A', value: '<redacted>' },
                  { name: 'B', valueFrom: {} },
                ],
              },
            ],
          },
        },
      ],
    });
  });
});
