import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { applyStrategicMergePatch } from '../../../src/machinery/api/patch/strategic-merge.ts';
import { createTypeTable } from '../../../src/machinery/api/schema/type-table.ts';
import type { TypeSchema } from '../../../src/machinery/api/schema/types.ts';
import { assetPath } from '../../../src/machinery/assets.ts';

const types = createTypeTable(readFileSync(assetPath('apiserver', 'types.tsv'), 'utf8'));
const pod = types.kind('', 'v1', 'Pod') as TypeSchema;
const deployment = types.kind('apps', 'v1', 'Deployment') as TypeSchema;

const containers = (...list: unknown[]) => ({ spec: { containers: list } });
const a = { name: 'a', image: 'one', env: [{ name: 'X', value: '1' }] };
const b = { name: 'b', image: 'two' };

describe('strategic merge patch', () => {
  it.each<[string, unknown, unknown, unknown]>([
    [
      'merges lists by key',
      containers(a, b),
      containers({ name: 'a', image: 'new' }),
      containers({ ...a, image: 'new' }, b),
    ],
    ['puts unknown elements first', containers(a), containers({ name: 'c' }), containers({ name: 'c' }, a)],
    ['deletes an element', containers(a, b), containers({ name: 'a', $patch: 'delete' }), containers(b)],
    ['replaces a list', containers(a, b), containers({ $patch: 'replace' }, { name: 'z' }), containers({ name: 'z' })],
    [
      'merges nested lists',
      containers(a),
      containers({ name: 'a', env: [{ name: 'Y', value: '2' }] }),
      containers({
        ...a,
        env: [
          { name: 'Y', value: '2' },
          { name: 'X', value: '1' },
        ],
      }),
    ],
    [
      'orders by $setElementOrder, server-only elements before those that followed them',
      containers(a, { name: 'server' }, b),
      {
        spec: {
          '$setElementOrder/containers': [{ name: 'b' }, { name: 'c' }, { name: 'a' }],
          containers: [{ name: 'c' }],
        },
      },
      containers({ name: 'server' }, b, { name: 'c' }, a),
    ],
    [
      'takes the order alone',
      containers(a, b),
      { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } },
      containers(b, a),
    ],
    [
      'deletes from lists of scalars',
      { metadata: { finalizers: ['x', 'y', 'z'] } },
      { metadata: { '$deleteFromPrimitiveList/finalizers': ['y'], finalizers: ['w'] } },
      { metadata: { finalizers: ['w', 'x', 'z'] } },
    ],
    [
      'keeps scalars apart once only',
      { metadata: { finalizers: ['x', 'y'] } },
      { metadata: { finalizers: ['y', 'q'] } },
      { metadata: { finalizers: ['x', 'y', 'q'] } },
    ],
    [
      'retains only the named keys of a union',
      { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
      { spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/' } }] } },
      { spec: { volumes: [{ name: 'v', hostPath: { path: '/' } }] } },
    ],
    [
      'replaces an atomic list',
      { spec: { tolerations: [{ key: 'a' }] } },
      { spec: { tolerations: [{ key: 'b' }] } },
      { spec: { tolerations: [{ key: 'b' }] } },
    ],
    [
      'deletes with null',
      { metadata: { labels: { a: '1', b: '2' } } },
      { metadata: { labels: { a: null } } },
      { metadata: { labels: { b: '2' } } },
    ],
    [
      'leaves nulls out of new values',
      {},
      { metadata: { labels: { a: null, b: '2' } } },
      { metadata: { labels: { b: '2' } } },
    ],
    [
      'replaces an object',
      { spec: { securityContext: { runAsUser: 1 } } },
      { spec: { securityContext: { $patch: 'replace', runAsGroup: 2 } } },
      { spec: { securityContext: { runAsGroup: 2 } } },
    ],
    [
      'empties an object',
      { metadata: { labels: { a: '1' } } },
      { metadata: { labels: { $patch: 'delete' } } },
      { metadata: { labels: {} } },
    ],
    [
      'drops directives of new elements',
      {},
      containers({ name: 'x', $patch: 'delete' }, { name: 'y', $retainKeys: ['name'] }),
      containers({ name: 'y' }),
    ],
  ])('%s', (_, document, patch, expected) => {
    const before = structuredClone([document, patch]);
    expect(applyStrategicMergePatch(document, patch, pod)).toEqual(expected);
    expect([document, patch]).toEqual(before);
  });

  it('replaces the rolling update of a deployment that is to be recreated', () => {
    const live = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } };
    const patch = { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } };
    expect(applyStrategicMergePatch(live, patch, deployment)).toEqual({ spec: { strategy: { type: 'Recreate' } } });
  });

  it.each<[unknown, string]>([
    [containers({ image: 'x' }), 'map: map[image:x] does not contain declared merge key: name'],
    [containers({ name: 'a', $patch: 'bogus' }), 'unknown patch type: bogus in list: map[$patch:bogus name:a]'],
    [{ metadata: { $retainKeys: ['name'], labels: {} } }, 'invalid patch format of retainKeys'],
    ['text', 'invalid JSON document'],
  ])('refuses %j', (patch, message) => {
    expect(() => applyStrategicMergePatch({ ...containers(a), metadata: {} }, patch, pod)).toThrow(message);
  });
});
