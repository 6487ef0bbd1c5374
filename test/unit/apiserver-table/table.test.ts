import { describe, expect, it } from 'vitest';
import { type Printable, toTable } from '../../../src/components/apiserver/table/table.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const now = new Date('2024-05-10T12:00:00Z');
const created = '2024-05-10T11:00:00Z';

function descriptorOf(type: string): Printable {
  const [apiVersion, kind] = [type.slice(0, type.lastIndexOf('/')), type.slice(type.lastIndexOf('/') + 1)];
  const [group, version] = apiVersion.includes('/') ? (apiVersion.split('/') as [string, string]) : ['', apiVersion];
  return { group, version, kind };
}

const print = (descriptor: Printable, object: object, name = 'x') =>
  toTable(
    descriptor,
    [
      {
        ...object,
        metadata: { name, creationTimestamp: created, ...(object as UnknownObject).metadata },
      } as UnknownObject,
    ],
    { now },
  );

/** Headers in kubectl's way of writing them, `*` before wide ones. */
const headers = (type: string) =>
  print(descriptorOf(type), {})
    .columnDefinitions!.map(({ name, priority }) => `${priority ? '*' : ''}${name}`)
    .join(' | ');

const template = {
  spec: {
    containers: [
      { name: 'a', image: 'i:1' },
      { name: 'b', image: 'j:2' },
    ],
  },
};
const selector = { matchLabels: { app: 'x' }, matchExpressions: [{ key: 'a', operator: 'In', values: ['2', '1'] }] };

describe('columns', () => {
  it.each([
    ['v1/Pod', 'Name | Ready | Status | Restarts | Age | *IP | *Node | *Nominated Node | *Readiness Gates'],
    [
      'v1/Node',
      'Name | Status | Roles | Age | Version | *Internal-IP | *External-IP | *OS-Image | *Kernel-Version | *Container-Runtime',
    ],
    ['v1/Service', 'Name | Type | Cluster-IP | External-IP | Port(s) | Age | *Selector'],
    ['apps/v1/Deployment', 'Name | Ready | Up-to-date | Available | Age | *Containers | *Images | *Selector'],
    ['v1/Event', 'Last Seen | Type | Reason | Object | *Subobject | *Source | Message | *First Seen | *Count | *Name'],
    ['rbac.authorization.k8s.io/v1/ClusterRole', 'Name | Created At'],
    ['apiextensions.k8s.io/v1/CustomResourceDefinition', 'Name | Created At'],
  ])('of %s', (type, expected) => {
    expect(headers(type)).toBe(expected);
  });
});

describe('cells', () => {
  it.each<[string, object, unknown[]]>([
    ['v1/Namespace', { status: { phase: 'Active' } }, ['Active', '60m']],
    ['v1/ConfigMap', { data: { a: '1' }, binaryData: { b: 'AA==' } }, [2, '60m']],
    ['v1/Secret', { type: 'Opaque', data: { a: '' } }, ['Opaque', 1, '60m']],
    [
      'v1/Node',
      {
        metadata: { labels: { 'node-role.kubernetes.io/control-plane': '', 'kubernetes.io/role': 'b' } },
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: 'Ready', status: 'True' }],
          addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
          nodeInfo: { kubeletVersion: 'v1.36.2', osImage: 'Debian', kernelVersion: '6.12' },
        },
      },
      [
        'Ready,SchedulingDisabled',
        'b,control-plane',
        '60m',
        'v1.36.2',
        '10.0.0.1',
        '<none>',
        'Debian',
        '6.12',
        '<unknown>',
      ],
    ],
    [
      'v1/Service',
      {
        spec: {
          type: 'LoadBalancer',
          clusterIPs: ['10.96.0.1'],
          ports: [
            { port: 80, nodePort: 30080, protocol: 'TCP' },
            { port: 53, protocol: 'UDP' },
          ],
          selector: { b: '2', a: '1' },
        },
        status: { loadBalancer: {} },
      },
      ['LoadBalancer', '10.96.0.1', '<pending>', '80:30080/TCP,53/UDP', '60m', 'a=1,b=2'],
    ],
    [
      'v1/Service',
      { spec: { type: 'ExternalName', externalName: 'a.b' } },
      ['ExternalName', '<none>', 'a.b', '<none>', '60m', '<none>'],
    ],
    [
      'v1/Endpoints',
      { subsets: [{ addresses: [{ ip: '1.1.1.1' }, { ip: 'fd00::1' }], ports: [{ port: 80 }, { port: 81 }] }] },
      ['1.1.1.1:80,[fd00::1]:80,1.1.1.1:81 + 1 more...', '60m'],
    ],
    [
      'discovery.k8s.io/v1/EndpointSlice',
      { addressType: 'IPv4', endpoints: [] },
      ['IPv4', '<unset>', '<unset>', '60m'],
    ],
    [
      'v1/Event',
      {
        type: 'Warning',
        reason: 'Failed',
        involvedObject: { kind: 'Pod', name: 'p', fieldPath: 'spec' },
        source: { component: 'kubelet', host: 'n' },
        message: 'bad\n',
        firstTimestamp: created,
        lastTimestamp: '2024-05-10T11:58:00Z',
        count: 3,
      },
      ['2m', 'Warning', 'Failed', 'pod/p', 'spec', 'kubelet, n', 'bad', '60m', 3, 'x'],
    ],
    [
      'events.k8s.io/v1/Event',
      {
        type: 'Normal',
        reason: 'R',
        regarding: { kind: 'Node', name: 'n' },
        note: 'm',
        eventTime: created,
        reportingController: 'c',
      },
      ['60m', 'Normal', 'R', 'node/n', '', 'c', 'm', '60m', 1, 'x'],
    ],
    [
      'v1/ResourceQuota',
      {
        status: {
          hard: { pods: '4', 'limits.cpu': '2', 'requests.cpu': '1' },
          used: { pods: '1', 'limits.cpu': '500m' },
        },
      },
      ['pods: 1/4, requests.cpu: 0/1', 'limits.cpu: 500m/2', '60m'],
    ],
    [
      'v1/PersistentVolumeClaim',
      {
        spec: { volumeName: 'v', storageClassName: 's', volumeMode: 'Filesystem' },
        status: { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: ['ReadWriteMany', 'ReadWriteOnce'] },
      },
      ['Bound', 'v', '1Gi', 'RWO,RWX', 's', '<unset>', '60m', 'Filesystem'],
    ],
    [
      'apps/v1/Deployment',
      { spec: { replicas: 3, selector, template }, status: { readyReplicas: 2, updatedReplicas: 3 } },
      ['2/3', 3, 0, '60m', 'a,b', 'i:1,j:2', 'a in (1,2),app=x'],
    ],
    ['apps/v1/StatefulSet', { spec: { replicas: 1, template } }, ['0/1', '60m', 'a,b', 'i:1,j:2']],
    [
      'apps/v1/ControllerRevision',
      {
        metadata: {
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'd', uid: 'u', controller: true }],
        },
        revision: 2,
      },
      ['daemonset.apps/d', 2, '60m'],
    ],
    [
      'batch/v1/Job',
      {
        spec: { completions: 2, template },
        status: {
          succeeded: 1,
          startTime: created,
          completionTime: '2024-05-10T11:01:05Z',
          conditions: [{ type: 'Failed', status: 'True' }],
        },
      },
      ['Failed', '1/2', '65s', '60m', 'a,b', 'i:1,j:2', '<none>'],
    ],
    [
      'batch/v1/CronJob',
      { spec: { schedule: '@hourly', suspend: false, jobTemplate: { spec: { template } } }, status: { active: [{}] } },
      ['@hourly', '<none>', 'False', 1, '<none>', '60m', 'a,b', 'i:1,j:2', '<none>'],
    ],
    [
      'autoscaling/v2/HorizontalPodAutoscaler',
      {
        spec: {
          scaleTargetRef: { kind: 'Deployment', name: 'd' },
          maxReplicas: 5,
          metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { averageUtilization: 80 } } }],
        },
        status: { currentReplicas: 2 },
      },
      ['Deployment/d', 'cpu: <unknown>/80%', '<unset>', 5, 2, '60m'],
    ],
    [
      'autoscaling/v1/HorizontalPodAutoscaler',
      {
        spec: {
          scaleTargetRef: { kind: 'Deployment', name: 'd' },
          minReplicas: 1,
          maxReplicas: 5,
          targetCPUUtilizationPercentage: 50,
        },
        status: { currentCPUUtilizationPercentage: 10 },
      },
      ['Deployment/d', 'cpu: 10%/50%', '1', 5, 0, '60m'],
    ],
    [
      'networking.k8s.io/v1/Ingress',
      { spec: { rules: [{ host: 'a' }, {}], tls: [{}] } },
      ['<none>', 'a', '', '80, 443', '60m'],
    ],
    ['networking.k8s.io/v1/NetworkPolicy', { spec: { podSelector: {} } }, ['<none>', '60m']],
    ['policy/v1/PodDisruptionBudget', { spec: { maxUnavailable: '10%' } }, ['N/A', '10%', 0, '60m']],
    [
      'rbac.authorization.k8s.io/v1/ClusterRoleBinding',
      {
        roleRef: { kind: 'ClusterRole', name: 'r' },
        subjects: [
          { kind: 'Group', name: 'g' },
          { kind: 'ServiceAccount', namespace: 'n', name: 's' },
        ],
      },
      ['ClusterRole/r', '60m', '', 'g', 'n/s'],
    ],
    [
      'certificates.k8s.io/v1/CertificateSigningRequest',
      {
        spec: { signerName: 's', username: 'u', expirationSeconds: 86400 },
        status: { conditions: [{ type: 'Approved' }], certificate: 'AA==' },
      },
      ['60m', 's', 'u', '24h', 'Approved,Issued'],
    ],
    [
      'apiregistration.k8s.io/v1/APIService',
      {
        spec: { service: { namespace: 'n', name: 's' } },
        status: { conditions: [{ type: 'Available', status: 'False', reason: 'MissingEndpoints' }] },
      },
      ['n/s', 'False (MissingEndpoints)', '60m'],
    ],
    ['rbac.authorization.k8s.io/v1/Role', {}, [created]],
  ])('of %s', (type, object, cells) => {
    const table = print(descriptorOf(type), object);
    const all = type.endsWith('/Event') ? table.rows[0]!.cells : table.rows[0]!.cells.slice(1);
    expect(all).toEqual(cells);
    expect(table.rows[0]!.cells).toHaveLength(table.columnDefinitions!.length);
  });
});

describe('a table', () => {
  const pod = { metadata: { name: 'a', creationTimestamp: created }, spec: {} } as unknown as UnknownObject;
  const descriptor = { group: '', version: 'v1', kind: 'Pod' };

  it.each([
    ['None', null],
    ['Metadata', { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1beta1', metadata: pod.metadata }],
    ['Object', { kind: 'Pod', apiVersion: 'v1', ...pod }],
  ] as const)('carries with its rows what includeObject=%s asks for', (includeObject, object) => {
    expect(toTable(descriptor, [pod], { includeObject, version: 'v1beta1' }).rows[0]!.object).toEqual(object);
  });

  it('sends no columns twice', () => {
    const table = toTable(descriptor, [pod], { noHeaders: true, listMeta: { resourceVersion: '9' } });
    expect(table).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1', columnDefinitions: null });
    expect(table.metadata).toEqual({ resourceVersion: '9' });
  });

  it('shows flow schemas in the order in which they match', () => {
    const schemas = [
      ['b', 5],
      ['z', 1],
      ['a', 5],
    ].map(([name, matchingPrecedence]) => ({ metadata: { name }, spec: { matchingPrecedence } }));
    const table = toTable(
      { group: 'flowcontrol.apiserver.k8s.io', version: 'v1', kind: 'FlowSchema' },
      schemas as UnknownObject[],
      {},
    );
    expect(table.rows.map(({ cells }) => cells[0])).toEqual(['z', 'a', 'b']);
  });

  it('shows the columns of a custom resource, or its age', () => {
    const thing = { group: 'example.com', version: 'v1', kind: 'Thing' };
    const printerColumns = [
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas', priority: 1 },
      { name: 'Since', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      { name: 'None', type: 'string', jsonPath: '.spec.none' },
      { name: 'Wrong', type: 'integer', jsonPath: '.spec.text' },
      { name: 'Tree', type: 'string', jsonPath: '.spec.tree' },
    ];
    const object = {
      spec: { replicas: 3, text: 'x', tree: { a: 1 } },
      status: {
        conditions: [
          { type: 'Other', status: '?' },
          { type: 'Ready', status: 'True' },
        ],
      },
    };
    const table = print({ ...thing, printerColumns }, object);
    expect(table.rows[0]!.cells).toEqual(['x', 'True', 3, '60m', null, null, '{"a":1}']);
    expect(table.columnDefinitions![2]).toMatchObject({ name: 'Replicas', type: 'integer', priority: 1 });
    expect(print({ ...thing, printerColumns: [] }, object).rows[0]!.cells).toEqual(['x', '60m']);
  });
});
