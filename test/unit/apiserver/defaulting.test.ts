import { describe, expect, it } from 'vitest';
import { defaultPullPolicy } from '../../../src/components/apiserver/defaulting/containers.ts';
import { applyDefaults } from '../../../src/components/apiserver/defaulting/defaulting.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const registry = createRegistry();

/** Defaults an object of a group, version and kind. */
function defaulted(apiVersion: string, kind: string, object: Record<string, unknown>): Record<string, unknown> {
  const [group, version] = apiVersion.includes('/') ? (apiVersion.split('/') as [string, string]) : ['', apiVersion];
  const copy = structuredClone({ apiVersion, kind, ...object }) as UnknownObject;
  applyDefaults(registry.findKind(group, version, kind)!, copy);
  return copy;
}

const container = {
  name: 'web',
  image: 'nginx:1.27',
  imagePullPolicy: 'IfNotPresent',
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
};
const podSpec = {
  dnsPolicy: 'ClusterFirst',
  restartPolicy: 'Always',
  schedulerName: 'default-scheduler',
  securityContext: {},
  terminationGracePeriodSeconds: 30,
};

describe('defaults', () => {
  it('of a pod', () => {
    const pod = defaulted('v1', 'Pod', {
      spec: {
        hostNetwork: true,
        containers: [
          {
            name: 'web',
            image: 'nginx:1.27',
            ports: [{ containerPort: 80 }],
            resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } },
            readinessProbe: { httpGet: { port: 80 } },
            env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
          },
        ],
        volumes: [{ name: 'a' }, { name: 'b', configMap: { name: 'c' } }, { name: 'c', hostPath: { path: '/x' } }],
      },
    });
    expect(pod['spec']).toEqual({
      ...podSpec,
      hostNetwork: true,
      enableServiceLinks: true,
      containers: [
        {
          ...container,
          ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }],
          resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m', memory: '1Gi' } },
          readinessProbe: {
            httpGet: { port: 80, path: '/', scheme: 'HTTP' },
            timeoutSeconds: 1,
            periodSeconds: 10,
            successThreshold: 1,
            failureThreshold: 3,
          },
          env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP', apiVersion: 'v1' } } }],
        },
      ],
      volumes: [
        { name: 'a', emptyDir: {} },
        { name: 'b', configMap: { name: 'c', defaultMode: 420 } },
        { name: 'c', hostPath: { path: '/x', type: '' } },
      ],
    });
  });

  it('of a deployment, whose template gets no service links and no requests', () => {
    const template = {
      spec: { containers: [{ name: 'web', image: 'nginx:1.27', resources: { limits: { cpu: '1' } } }] },
    };
    const deployment = defaulted('apps/v1', 'Deployment', { spec: { template } });
    expect(deployment['spec']).toEqual({
      replicas: 1,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      template: { spec: { ...podSpec, containers: [{ ...container, resources: { limits: { cpu: '1' } } }] } },
    });
  });

  it.each([
    ['ClusterIP', { internalTrafficPolicy: 'Cluster' }],
    ['NodePort', { internalTrafficPolicy: 'Cluster', externalTrafficPolicy: 'Cluster' }],
    [
      'LoadBalancer',
      { internalTrafficPolicy: 'Cluster', externalTrafficPolicy: 'Cluster', allocateLoadBalancerNodePorts: true },
    ],
    ['ExternalName', {}],
  ])('of a %s service', (type, expected) => {
    const service = defaulted('v1', 'Service', { spec: { type, ports: [{ port: 80 }] } });
    expect(service['spec']).toEqual({
      type,
      sessionAffinity: 'None',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      ...expected,
    });
  });

  it.each<[string, string, Record<string, unknown>, Record<string, unknown>]>([
    ['v1', 'Secret', {}, { type: 'Opaque' }],
    [
      'v1',
      'Namespace',
      { metadata: { name: 'a' } },
      { metadata: { name: 'a', labels: { 'kubernetes.io/metadata.name': 'a' } }, status: { phase: 'Active' } },
    ],
    [
      'apps/v1',
      'DaemonSet',
      { spec: {} },
      {
        spec: {
          updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
          revisionHistoryLimit: 10,
        },
      },
    ],
    [
      'batch/v1',
      'Job',
      { spec: { parallelism: 2, podFailurePolicy: { rules: [] } } },
      {
        spec: {
          parallelism: 2,
          backoffLimit: 6,
          completionMode: 'NonIndexed',
          suspend: false,
          podReplacementPolicy: 'Failed',
          podFailurePolicy: { rules: [] },
        },
        metadata: {},
      },
    ],
    [
      'batch/v1',
      'CronJob',
      { spec: {} },
      {
        spec: { concurrencyPolicy: 'Allow', suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 },
      },
    ],
    [
      'rbac.authorization.k8s.io/v1',
      'RoleBinding',
      {
        roleRef: { kind: 'Role', name: 'r' },
        subjects: [
          { kind: 'User', name: 'u' },
          { kind: 'ServiceAccount', name: 's' },
        ],
      },
      {
        roleRef: { kind: 'Role', name: 'r', apiGroup: 'rbac.authorization.k8s.io' },
        subjects: [
          { kind: 'User', name: 'u', apiGroup: 'rbac.authorization.k8s.io' },
          { kind: 'ServiceAccount', name: 's' },
        ],
      },
    ],
    [
      'networking.k8s.io/v1',
      'NetworkPolicy',
      { spec: { egress: [{}] } },
      { spec: { egress: [{}], policyTypes: ['Ingress', 'Egress'] } },
    ],
    ['storage.k8s.io/v1', 'StorageClass', {}, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' }],
    ['scheduling.k8s.io/v1', 'PriorityClass', {}, { preemptionPolicy: 'PreemptLowerPriority' }],
    [
      'v1',
      'LimitRange',
      { spec: { limits: [{ type: 'Container', max: { cpu: '2' }, min: { memory: '1Mi' } }] } },
      {
        spec: {
          limits: [
            {
              type: 'Container',
              max: { cpu: '2' },
              min: { memory: '1Mi' },
              default: { cpu: '2' },
              defaultRequest: { cpu: '2', memory: '1Mi' },
            },
          ],
        },
      },
    ],
  ])('of a %s %s', (apiVersion, kind, object, expected) => {
    expect(defaulted(apiVersion, kind, object)).toEqual({ apiVersion, kind, ...expected });
  });

  it.each([
    ['nginx', 'Always'],
    ['nginx:latest', 'Always'],
    ['nginx:1.27', 'IfNotPresent'],
    ['host:5000/nginx', 'Always'],
    ['host:5000/nginx:v1', 'IfNotPresent'],
    ['nginx@sha256:abc', 'IfNotPresent'],
  ])('of the pull policy of %s: %s', (image, policy) => {
    expect(defaultPullPolicy(image)).toBe(policy);
  });

  it('change nothing when applied again', () => {
    const once = defaulted('v1', 'Service', { spec: { type: 'NodePort', ports: [{ port: 80 }] } });
    expect(defaulted('v1', 'Service', once)).toEqual(once);
  });
});
