import { describe, expect, it } from 'vitest';
import { containerEnvironment, expandAll } from '../../../src/components/kubelet/environment/environment.ts';
import { expand } from '../../../src/components/kubelet/environment/expand.ts';
import { quoted, resourceField } from '../../../src/components/kubelet/environment/fields.ts';
import { serviceVariables } from '../../../src/components/kubelet/environment/services.ts';
import type { Container, Service } from '../../../src/machinery/api/types.ts';
import { base64, givenObjects } from './given-objects.ts';

describe('references in values', () => {
  const values: Record<string, string> = { A: 'a', 'WITH SPACE': 's', EMPTY: '' };
  it.each([
    ['plain', 'plain'],
    ['$(A)', 'a'],
    ['x$(A)y$(A)', 'xaya'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$a'],
    ['$(MISSING)', '$(MISSING)'],
    ['$(EMPTY)|', '|'],
    ['$(A', '$(A'],
    ['$A', '$A'],
    ['cost $', 'cost $'],
    ['$(WITH SPACE)', 's'],
    ['$$$$', '$$'],
  ])('%j becomes %j', (text, expanded) => {
    expect(expand(text, (name) => values[name])).toBe(expanded);
  });

  it('are replaced in commands', () => {
    expect(expandAll(['echo', '$(A) $(B)'], [{ name: 'A', value: '1' }])).toEqual(['echo', '1 $(B)']);
  });
});

const container = (fields: Partial<Container>): Container => ({ name: 'c', ...fields });
const environment = (fields: Partial<Container>, services: Service[] = [], links = true) =>
  containerEnvironment({
    pod: {
      metadata: { name: 'web', namespace: 'shop', uid: 'u1', labels: { app: 'a"b', b: 'c' } },
      spec: { containers: [], enableServiceLinks: links, serviceAccountName: 'sa' },
    },
    container: container(fields),
    podIps: ['10.244.1.2', 'fd00::2'],
    hostIps: ['192.0.2.1'],
    nodeName: 'n1',
    nodeAllocatable: { cpu: '2', memory: '1000Mi' },
    services,
    objects: givenObjects(
      { 'shop/config': { data: { color: 'red', size: 'XL' } } },
      { 'shop/hidden': { data: { password: base64('s3cret') } } },
    ),
  });

describe('the environment of a container', () => {
  it('is envFrom, then env, where later names win', async () => {
    const variables = await environment({
      envFrom: [
        { prefix: 'C_', configMapRef: { name: 'config' } },
        { secretRef: { name: 'hidden' } },
        { configMapRef: { name: 'absent', optional: true } },
      ],
      env: [
        { name: 'C_size', value: 'S' },
        { name: 'FROM_CONFIG', value: '$(C_color)-$(password)-$(NOPE)' },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'IPS', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } },
        { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'KEY', valueFrom: { secretKeyRef: { name: 'hidden', key: 'password' } } },
        { name: 'GONE', valueFrom: { secretKeyRef: { name: 'hidden', key: 'nope', optional: true } } },
        { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
        { name: 'NOTHING' },
      ],
    });
    expect(Object.fromEntries(variables.map(({ name, value }) => [name, value]))).toEqual({
      C_color: 'red',
      C_size: 'S',
      password: 's3cret',
      FROM_CONFIG: 'red-s3cret-$(NOPE)',
      IP: '10.244.1.2',
      IPS: '10.244.1.2,fd00::2',
      NODE: 'n1',
      APP: 'a"b',
      KEY: 's3cret',
      MEM: '1000',
      NOTHING: '',
    });
  });

  it.each<[string, Partial<Container>]>([
    ['configmap "x" not found', { envFrom: [{ configMapRef: { name: 'x' } }] }],
    ['secret "x" not found', { envFrom: [{ secretRef: { name: 'x' } }] }],
    ['secret "x" not found', { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'x', key: 'k' } } }] }],
    [
      "couldn't find key k in ConfigMap shop/config",
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'config', key: 'k' } } }] },
    ],
    [
      "couldn't find key k in Secret shop/hidden",
      { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'hidden', key: 'k' } } }] },
    ],
  ])('fails with %s', async (message, fields) => {
    await expect(environment(fields)).rejects.toThrow(message);
  });

  it('ends with the services of its namespace', async () => {
    const service = (namespace: string, name: string, clusterIP: string): Service => ({
      metadata: { namespace, name },
      spec: {
        clusterIP,
        ports: [
          { name: 'http-web', port: 80, protocol: 'TCP' },
          { port: 53, protocol: 'UDP' },
        ],
      },
    });
    const services = [
      service('default', 'kubernetes', '10.96.0.1'),
      service('shop', 'my-db', '10.96.0.9'),
      service('shop', 'headless', 'None'),
      service('other', 'far', '10.96.0.8'),
    ];
    const all = serviceVariables(services, 'shop', true);
    expect(all.get('KUBERNETES_SERVICE_HOST')).toBe('10.96.0.1');
    expect([...all].filter(([name]) => name.startsWith('MY_DB'))).toEqual([
      ['MY_DB_SERVICE_HOST', '10.96.0.9'],
      ['MY_DB_SERVICE_PORT', '80'],
      ['MY_DB_SERVICE_PORT_HTTP_WEB', '80'],
      ['MY_DB_PORT', 'tcp://10.96.0.9:80'],
      ['MY_DB_PORT_80_TCP', 'tcp://10.96.0.9:80'],
      ['MY_DB_PORT_80_TCP_PROTO', 'tcp'],
      ['MY_DB_PORT_80_TCP_PORT', '80'],
      ['MY_DB_PORT_80_TCP_ADDR', '10.96.0.9'],
      ['MY_DB_PORT_53_UDP', 'udp://10.96.0.9:53'],
      ['MY_DB_PORT_53_UDP_PROTO', 'udp'],
      ['MY_DB_PORT_53_UDP_PORT', '53'],
      ['MY_DB_PORT_53_UDP_ADDR', '10.96.0.9'],
    ]);
    expect([...all.keys()].some((name) => /HEADLESS|FAR/.test(name))).toBe(false);
    const without = await environment({}, services, false);
    expect(without.map(({ name }) => name).every((name) => name.startsWith('KUBERNETES_'))).toBe(true);
    expect(without).toHaveLength(12);
  });
});

describe('resource fields', () => {
  const limited = container({ resources: { limits: { cpu: '1500m', memory: '64Mi' }, requests: { cpu: '250m' } } });
  it.each([
    ['limits.cpu', undefined, '2'],
    ['limits.cpu', '1m', '1500'],
    ['limits.cpu', '0', '2'],
    ['requests.cpu', '1m', '250'],
    ['requests.memory', undefined, '0'],
    ['limits.memory', '1Ki', '65536'],
    ['limits.ephemeral-storage', '1Mi', '5'],
  ])('%s by %s is %s', (resource, divisor, value) => {
    expect(resourceField(limited, resource, divisor, { 'ephemeral-storage': '5000Ki' })).toBe(value);
  });
});

it('quotes as Go does', () => {
  expect(quoted('a"b\\c\n\té\u0001\u200b')).toBe('"a\\"b\\\\c\\n\\té\\x01\\u200b"');
});
