import { describe, expect, test } from 'vitest';
import { signedData } from '../../../src/components/controller-manager/cluster/bootstrap-tokens.ts';
import { aggregatedRules } from '../../../src/components/controller-manager/cluster/cluster-role-aggregation.ts';
import { type Consequences, OwnerGraph } from '../../../src/components/controller-manager/cluster/garbage/graph.ts';
import { deletableAt } from '../../../src/components/controller-manager/cluster/ttl-after-finished.ts';
import {
  type DiscoveredResource,
  preferredResources,
} from '../../../src/components/controller-manager/framework/discovery.ts';
import { enabledControllers } from '../../../src/components/controller-manager/framework/enablement.ts';
import { flags, optionsOf } from '../../../src/components/controller-manager/framework/flags.ts';
import { isSignatureValid } from '../../../src/installer/tokens/jws.ts';
import type { OwnerReference } from '../../../src/machinery/api/types.ts';
import { parseFlags } from '../../../src/machinery/flags/flags.ts';

describe('flags', () => {
  const parse = (...argv: string[]) => optionsOf(parseFlags(flags, argv).values);
  test('kubeadm’s arguments make the options of the controllers', () => {
    const options = parse(
      '--allocate-node-cidrs=true',
      '--cluster-cidr=10.244.0.0/16',
      '--cluster-signing-cert-file=/ca.crt',
      '--cluster-signing-key-file=/ca.key',
    );
    expect(options).toMatchObject({
      clusterCidrs: ['10.244.0.0/16'],
      nodeCidrMaskSizeIpv4: 24,
      nodeMonitorGracePeriod: 40_000,
      signing: { 'kubelet-serving': { certFile: '/ca.crt', keyFile: '/ca.key' } },
      clusterSigningDuration: 8760 * 3_600_000,
    });
  });
  test('general and special signing files exclude each other', () => {
    expect(() => parse('--cluster-signing-cert-file=/a', '--cluster-signing-kubelet-client-cert-file=/b')).toThrow(
      'cannot specify --cluster-signing-{cert,key}-file',
    );
  });
  test.each([
    ['*', 'daemonset-controller', true],
    ['*', 'bootstrap-signer-controller', false],
    ['*,bootstrapsigner', 'bootstrap-signer-controller', true],
    ['*,-daemonset', 'daemonset-controller', false],
    ['daemonset-controller', 'job-controller', false],
  ])('--controllers=%s: %s is on: %s', (selection, name, expected) => {
    expect(enabledControllers(selection.split(','), ['daemonset-controller', 'job-controller'])(name)).toBe(expected);
  });
  test('a controller that nobody knows is a mistake', () => {
    expect(() => enabledControllers(['*', 'bootstrapsinger'], [])).toThrow(
      '"bootstrapsinger" is not in the list of known controllers',
    );
  });
});

test('discovery gives each resource once, in its preferred version', () => {
  const verbs = ['list'];
  const resource = { resource: 'widgets', responseKind: { kind: 'Widget' }, scope: 'Namespaced', verbs };
  const found = preferredResources([
    {
      items: [
        {
          metadata: { name: 'x.io' },
          versions: [
            { version: 'v2', resources: [resource] },
            { version: 'v1', resources: [resource, { ...resource, resource: 'old' }] },
          ],
        },
        { metadata: { name: 'metrics.k8s.io' }, versions: [{ version: 'v1beta1', freshness: 'Stale' }] },
      ],
    },
  ]);
  expect(found.resources.map(({ version, resource: name }) => `${name}.${version}`)).toEqual(['widgets.v2', 'old.v1']);
  expect(found.failed).toEqual(['metrics.k8s.io/v1beta1']);
});

describe('the owner graph', () => {
  const type: DiscoveredResource = {
    group: '',
    version: 'v1',
    resource: 'configmaps',
    kind: 'ConfigMap',
    namespaced: true,
    verbs: [],
  };
  const setUp = () => {
    const told: Consequences = { attemptDelete: [], attemptOrphan: [] };
    const graph = new OwnerGraph(({ attemptDelete, attemptOrphan }) => {
      told.attemptDelete.push(...attemptDelete);
      told.attemptOrphan.push(...attemptOrphan);
    });
    const see = (name: string, owners: string[] = [], more: object = {}) => {
      const reference = (owner: string): OwnerReference => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        name: owner,
        uid: owner,
        blockOwnerDeletion: true,
      });
      graph.observe(type, {
        metadata: { name, uid: name, namespace: 'x', ownerReferences: owners.map(reference), ...more },
      });
      return { attemptDelete: told.attemptDelete.splice(0), attemptOrphan: told.attemptOrphan.splice(0) };
    };
    const remove = (uid: string) => {
      graph.remove(uid);
      return told.attemptDelete.splice(0);
    };
    return { graph, see, remove };
  };
  const deletion = '2026-01-01T00:00:00Z';

  test('calls for a look at children of owners that are gone, and at owners that nobody has seen', () => {
    const { see, remove } = setUp();
    see('owner');
    expect(see('child', ['owner']).attemptDelete).toEqual([]);
    expect(see('lonely', ['ghost']).attemptDelete).toEqual(['ghost']);
    expect(remove('owner')).toEqual(['child']);
    expect(remove('ghost')).toEqual(['lonely']);
  });

  test('a foreground deletion calls for the children, and each that goes for the owner', () => {
    const { see, remove } = setUp();
    see('owner');
    see('child', ['owner']);
    const begun = see('owner', [], { deletionTimestamp: deletion, finalizers: ['foregroundDeletion'] });
    expect(begun.attemptDelete).toEqual(['child', 'owner']);
    expect(see('late', ['owner']).attemptDelete).toEqual(['late']);
    expect(remove('child')).toEqual(['owner']);
  });

  test('an orphaning deletion calls for the release of the children, once', () => {
    const { see } = setUp();
    see('owner');
    const orphaning = { deletionTimestamp: deletion, finalizers: ['orphan'] };
    expect(see('owner', [], orphaning).attemptOrphan).toEqual(['owner']);
    expect(see('owner', [], orphaning).attemptOrphan).toEqual([]);
  });

  test('forgets an owner that nobody has seen when nobody names it any more', () => {
    const { graph, see } = setUp();
    see('child', ['ghost']);
    expect(graph.size).toBe(2);
    see('child', []);
    expect(graph.size).toBe(1);
  });

  test('has children judged again when their reference names something else than the owner', () => {
    const { graph, see } = setUp();
    see('child', ['uid']);
    graph.observe({ ...type, kind: 'Secret' }, { metadata: { name: 'other', namespace: 'y', uid: 'uid' } });
    expect(see('nothing').attemptDelete).toEqual(['child']);
  });
});

describe('bootstrap tokens', () => {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const token = (id: string, fields: Record<string, string> = {}) => ({
    metadata: { name: `bootstrap-token-${id}` },
    data: Object.fromEntries(
      Object.entries({
        'token-id': id,
        'token-secret': '0123456789abcdef',
        'usage-bootstrap-signing': 'true',
        ...fields,
      }).map(([key, value]) => [key, encode(value)]),
    ),
  });
  test('sign what the installer verifies; expired ones and those for authentication only do not', () => {
    const data = signedData(
      { data: { kubeconfig: 'content', other: 'kept', 'jws-kubeconfig-gone00': 'old' } },
      [
        token('aaaaaa'),
        token('bbbbbb', { expiration: '2026-01-01T00:00:00Z' }),
        token('cccccc', { 'usage-bootstrap-signing': 'false' }),
      ],
      Date.parse('2026-06-01T00:00:00Z'),
    );
    expect(Object.keys(data ?? {})).toEqual(['kubeconfig', 'other', 'jws-kubeconfig-aaaaaa']);
    const signature = data?.['jws-kubeconfig-aaaaaa'] ?? '';
    expect(isSignatureValid(signature, 'content', { id: 'aaaaaa', secret: '0123456789abcdef' })).toBe(true);
  });
});

test('aggregated roles have the rules of the selected ones, each once', () => {
  const rule = (resource: string) => ({ apiGroups: [''], resources: [resource], verbs: ['get'] });
  const selected = (name: string, resource: string) => ({
    metadata: { name, labels: { to: 'admin' } },
    rules: [rule(resource), rule('pods')],
  });
  const role = {
    metadata: { name: 'admin', labels: { to: 'admin' } },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: 'admin' } }] },
    rules: [rule('stale')],
  };
  const rules = aggregatedRules(role, [selected('b', 'secrets'), role, selected('a', 'nodes')]);
  expect(rules.map(({ resources }) => resources?.[0])).toEqual(['nodes', 'pods', 'secrets']);
});

test.each([
  ['finished', { ttl: 60, type: 'Complete', status: 'True' }, Date.parse('2026-01-01T00:01:00Z')],
  ['failed', { ttl: 0, type: 'Failed', status: 'True' }, Date.parse('2026-01-01T00:00:00Z')],
  ['still running', { ttl: 60, type: 'Suspended', status: 'True' }, undefined],
  ['without a time to live', { ttl: undefined, type: 'Complete', status: 'True' }, undefined],
])('a job that is %s may be deleted at the right time', (_case, { ttl, type, status }, expected) => {
  const job = {
    spec: { template: {}, ...(ttl === undefined ? {} : { ttlSecondsAfterFinished: ttl }) },
    status: { conditions: [{ type, status, lastTransitionTime: '2026-01-01T00:00:00Z' }] },
  };
  expect(deletableAt(job)).toBe(expected);
});
