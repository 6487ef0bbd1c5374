import { describe, expect, it } from 'vitest';
import { diagnosisMessage } from '../../../src/components/scheduler/cycle/fit-error.ts';
import { podInfoOf } from '../../../src/components/scheduler/framework/pod-info.ts';
import type { Node, Pod, PodSpec } from '../../../src/machinery/api/types.ts';
import { node, pod, trial, type World } from './objects.ts';

const outcome = (world: World, wanted: Pod): string => {
  const choice = trial(world).choose(wanted);
  return choice.fits ? choice.nodeName : diagnosisMessage(world.nodes.length, choice.diagnosis);
};
const taint = (key: string, effect = 'NoSchedule') => ({ taints: [{ key, effect }] });
const spread = (whenUnsatisfiable: string, topologyKey = 'kubernetes.io/hostname', maxSkew = 1): Partial<PodSpec> => ({
  topologySpreadConstraints: [
    { maxSkew, topologyKey, whenUnsatisfiable, labelSelector: { matchLabels: { app: 'web' } } },
  ],
});
const near = (kind: 'podAffinity' | 'podAntiAffinity', app: string, topologyKey = 'kubernetes.io/hostname') => ({
  affinity: {
    [kind]: {
      requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: { matchLabels: { app } }, topologyKey }],
    },
  },
});
const web = (name: string, on?: string) => pod(name, { labels: { app: 'web' }, ...(on ? { node: on } : {}) });
const zone = (name: string) => ({ labels: { 'topology.kubernetes.io/zone': name } });

interface Case {
  name: string;
  nodes: Node[];
  pods?: Pod[];
  wanted: Pod;
  expected: string;
  stores?: World['stores'];
}

const usesData = pod('p', { spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] } });
const claim = (more: object = {}, annotations = {}) => ({
  metadata: { name: 'data', namespace: 'default', annotations },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'late',
    resources: { requests: { storage: '1Gi' } },
    ...more,
  },
});
const boundClaim = (more: object = {}) =>
  claim({ volumeName: 'pv', ...more }, { 'pv.kubernetes.io/bind-completed': 'yes' });
const volumeOn = (name: string, nodeName: string, labels = {}) => ({
  metadata: { name, labels },
  spec: {
    capacity: { storage: '2Gi' },
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'late',
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] }] },
        ],
      },
    },
  },
  status: { phase: 'Available' },
});
const late = (provisioner: string, more: object = {}) => ({
  metadata: { name: 'late' },
  provisioner,
  volumeBindingMode: 'WaitForFirstConsumer',
  ...more,
});
const storage = (
  persistentvolumeclaims: object[],
  persistentvolumes: object[] = [],
  storageclasses: object[] = [],
) => ({
  persistentvolumeclaims,
  persistentvolumes,
  storageclasses,
});
const volumeCases: Case[] = [
  {
    name: 'a claim that somebody else has to bind',
    nodes: [node('w1')],
    wanted: usesData,
    stores: storage([claim()]),
    expected: '0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.',
  },
  {
    name: "the bound volume's node",
    nodes: [node('w1'), node('w2')],
    wanted: usesData,
    stores: storage([boundClaim()], [volumeOn('pv', 'w2')]),
    expected: 'w2',
  },
  {
    name: 'a bound volume of a node that is gone',
    nodes: [node('w1')],
    wanted: usesData,
    stores: storage([boundClaim()], [volumeOn('pv', 'w9')]),
    expected: "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity.",
  },
  {
    name: 'a bound volume that is gone',
    nodes: [node('w1')],
    wanted: usesData,
    stores: storage([boundClaim()]),
    expected: '0/1 nodes are available: 1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s).',
  },
  {
    name: 'a node with a free volume for a claim that waited for its first consumer',
    nodes: [node('w1'), node('w2')],
    wanted: usesData,
    stores: storage([claim()], [volumeOn('pv', 'w2')], [late('kubernetes.io/no-provisioner')]),
    expected: 'w2',
  },
  {
    name: 'no free volume anywhere',
    nodes: [node('w1'), node('w2')],
    wanted: usesData,
    stores: storage([claim()], [volumeOn('pv', 'w9')], [late('kubernetes.io/no-provisioner')]),
    expected: "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.",
  },
  {
    name: 'a provisioner that may use one node only',
    nodes: [node('w1'), node('w2')],
    wanted: usesData,
    stores: storage(
      [claim()],
      [],
      [
        late('a.b/c', {
          allowedTopologies: [{ matchLabelExpressions: [{ key: 'kubernetes.io/hostname', values: ['w2'] }] }],
        }),
      ],
    ),
    expected: 'w2',
  },
  {
    name: 'the node that was chosen for the claim before',
    nodes: [node('w1'), node('w2')],
    wanted: usesData,
    stores: storage([claim({}, { 'volume.kubernetes.io/selected-node': 'w2' })], [], [late('a.b/c')]),
    expected: 'w2',
  },
  {
    name: "a bound volume's zone",
    nodes: [node('w1', zone('a')), node('w2', zone('b'))],
    wanted: usesData,
    stores: storage(
      [boundClaim()],
      [{ metadata: { name: 'pv', labels: { 'topology.kubernetes.io/zone': 'b__c' } }, spec: {} }],
    ),
    expected: 'w2',
  },
  {
    name: 'a claim for one pod only, used by another',
    nodes: [node('w1'), node('w2')],
    pods: [{ ...pod('other', { node: 'w1', spec: usesData.spec?.volumes ? { volumes: usesData.spec.volumes } : {} }) }],
    wanted: usesData,
    stores: storage([boundClaim({ accessModes: ['ReadWriteOncePod'] })], [{ metadata: { name: 'pv' }, spec: {} }]),
    expected:
      '0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.',
  },
];

const cases: Case[] = [
  {
    name: 'no taint tolerated, no resources left: the reasons are counted and sorted',
    nodes: [node('cp1', taint('node-role.kubernetes.io/control-plane')), node('w1'), node('w2')],
    pods: [pod('a', { node: 'w1', requests: { cpu: '3' } }), pod('b', { node: 'w2', requests: { cpu: '4' } })],
    wanted: pod('p', { requests: { cpu: '2' } }),
    expected: '0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu.',
  },
  {
    name: 'the node with most left is taken',
    nodes: [node('w1'), node('w2')],
    pods: [pod('a', { node: 'w1', requests: { cpu: '1', memory: '1Gi' } })],
    wanted: pod('p', { requests: { cpu: '1', memory: '1Gi' } }),
    expected: 'w2',
  },
  {
    name: 'a PreferNoSchedule taint is avoided',
    nodes: [node('w1', taint('slow', 'PreferNoSchedule')), node('w2')],
    wanted: pod('p'),
    expected: 'w2',
  },
  {
    name: 'cordoned nodes and node selectors',
    nodes: [node('w1', { unschedulable: true }), node('w2')],
    wanted: pod('p', { spec: { nodeSelector: { disk: 'ssd' } } }),
    expected:
      "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable.",
  },
  {
    name: 'host ports are given once',
    nodes: [node('w1')],
    pods: [
      pod('a', { node: 'w1', spec: { containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80 }] }] } }),
    ],
    wanted: pod('p', { spec: { containers: [{ name: 'c', ports: [{ containerPort: 8080, hostPort: 80 }] }] } }),
    expected: "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  },
  {
    name: 'a hard spread constraint takes the emptier node',
    nodes: [node('w1'), node('w2')],
    pods: [web('a', 'w1')],
    wanted: pod('p', { labels: { app: 'web' }, spec: spread('DoNotSchedule') }),
    expected: 'w2',
  },
  {
    name: 'a hard spread constraint over zones refuses nodes without a zone',
    nodes: [node('w1', zone('a')), node('w2')],
    pods: [web('a', 'w1')],
    wanted: pod('p', {
      labels: { app: 'web' },
      spec: {
        ...spread('DoNotSchedule', 'topology.kubernetes.io/zone'),
        nodeSelector: { 'kubernetes.io/hostname': 'w2' },
      },
    }),
    expected:
      "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't match pod topology spread constraints (missing required label).",
  },
  {
    name: 'a soft spread constraint prefers the zone with fewer',
    nodes: [node('w1', zone('a')), node('w2', zone('a')), node('w3', zone('b'))],
    pods: [web('a', 'w1')],
    wanted: pod('p', { labels: { app: 'web' }, spec: spread('ScheduleAnyway', 'topology.kubernetes.io/zone') }),
    expected: 'w3',
  },
  {
    name: 'pods of a service spread without any constraint of their own',
    nodes: [node('w1'), node('w2')],
    pods: [web('a', 'w1'), pod('x', { node: 'w2' })],
    stores: {
      services: [{ metadata: { name: 'web', namespace: 'default' }, spec: { selector: { app: 'web' } } } as never],
    },
    wanted: web('p'),
    expected: 'w2',
  },
  {
    name: 'affinity follows the other pod',
    nodes: [node('w1'), node('w2')],
    pods: [web('a', 'w2')],
    wanted: pod('p', { spec: near('podAffinity', 'web') }),
    expected: 'w2',
  },
  {
    name: 'affinity to nobody fits nowhere, unless the pod itself is meant',
    nodes: [node('w1')],
    wanted: pod('p', { spec: near('podAffinity', 'web') }),
    expected: "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.",
  },
  {
    name: 'the first of a group with affinity to itself goes anywhere',
    nodes: [node('w1')],
    wanted: pod('p', { labels: { app: 'web' }, spec: near('podAffinity', 'web') }),
    expected: 'w1',
  },
  {
    name: 'anti-affinity of either side keeps pods apart',
    nodes: [node('w1'), node('w2')],
    pods: [web('a', 'w1'), pod('lonely', { node: 'w2', spec: near('podAntiAffinity', 'db') })],
    wanted: pod('p', { labels: { app: 'db' }, spec: near('podAntiAffinity', 'web') }),
    expected:
      "0/2 nodes are available: 1 node(s) didn't match pod anti-affinity rules, 1 node(s) didn't satisfy existing pods anti-affinity rules.",
  },
  {
    name: 'a pod bound to a node by name, as of a daemon set, looks at no other',
    nodes: [node('w1'), node('w2')],
    pods: [pod('a', { node: 'w1', requests: { cpu: '4' } })],
    wanted: pod('p', {
      requests: { cpu: '1' },
      spec: {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['w1'] }] }],
            },
          },
        },
      },
    }),
    expected: "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity].",
  },
  {
    name: 'a claim that does not exist',
    nodes: [node('w1')],
    wanted: pod('p', { spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] } }),
    expected: '0/1 nodes are available: persistentvolumeclaim "data" not found.',
  },
  ...volumeCases,
];

describe('the choice of a node', () => {
  it.each(cases)('$name', ({ wanted, expected, ...world }) => {
    expect(outcome(world, wanted)).toBe(expected);
  });

  it('gives a node back when an assumption is taken back', () => {
    const { cache, choose } = trial({ nodes: [node('w1')] });
    const big = pod('big', { requests: { cpu: '3' } });
    const other = pod('other', { requests: { cpu: '2' } });
    expect(choose(big).fits).toBe(true);
    const info = podInfoOf(big);
    cache.assume(info, 'w1');
    expect(choose(other).fits).toBe(false);
    cache.forget(info);
    expect(choose(other).fits).toBe(true);
  });
});

it.each([-1, 'soon'])('a time limit of %j for binding volumes is refused', (bindTimeoutSeconds) => {
  expect(() => trial({ nodes: [], args: { VolumeBinding: { bindTimeoutSeconds } } })).toThrow(
    'invalid BindTimeoutSeconds, should not be a negative value',
  );
});
