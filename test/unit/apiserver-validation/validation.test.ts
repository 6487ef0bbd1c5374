import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { errorsOf, parse } from './harness.ts';

const pod = (spec: string, metadata = '{name: web}') =>
  `{apiVersion: v1, kind: Pod, metadata: ${metadata}, spec: ${spec}}`;
const container = (rest = '') => `{name: c, image: busybox${rest ? `, ${rest}` : ''}}`;
const withContainer = (rest: string) => pod(`{containers: [${container(rest)}]}`);
const template = (labels = '{app: web}', spec = `{containers: [${container()}]}`) =>
  `{metadata: {labels: ${labels}}, spec: ${spec}}`;
const deployment = (spec: string) => `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: ${spec}}`;
const selector = 'selector: {matchLabels: {app: web}}';
const service = (spec: string, name = 'web') =>
  `{apiVersion: v1, kind: Service, metadata: {name: ${name}}, spec: ${spec}}`;

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

describe('what is refused on create', () => {
  it.each<[string, string, string[]]>([
    [
      'a name with capitals',
      pod(`{containers: [${container()}]}`, '{name: Web}'),
      [`metadata.name: Invalid value: "Web": ${subdomain}`],
    ],
    ['no containers', pod('{containers: []}'), ['spec.containers: Required value']],
    ['no image', pod('{containers: [{name: c}]}'), ['spec.containers[0].image: Required value']],
    [
      'two containers of one name',
      pod(`{containers: [${container()}, ${container()}]}`),
      ['spec.containers[1].name: Duplicate value: "c"'],
    ],
    [
      'an unknown restart policy',
      pod(`{restartPolicy: Sometimes, containers: [${container()}]}`),
      ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'],
    ],
    [
      'a port out of range and one without number',
      withContainer('ports: [{containerPort: 70000}, {name: http}]'),
      [
        'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
        'spec.containers[0].ports[1].containerPort: Required value',
      ],
    ],
    [
      'a request above its limit',
      withContainer('resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}'),
      [
        'spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi',
      ],
    ],
    [
      'a mount without its volume',
      withContainer('volumeMounts: [{name: data, mountPath: /data}]'),
      ['spec.containers[0].volumeMounts[0].name: Not found: "data"'],
    ],
    [
      'a volume with two sources',
      pod(`{volumes: [{name: a}, {name: b, emptyDir: {}, hostPath: {path: /x}}], containers: [${container()}]}`),
      ['spec.volumes[1].hostPath: Forbidden: may not specify more than 1 volume type'],
    ],
    [
      'a probe without a handler, and a liveness probe that must succeed twice',
      withContainer('readinessProbe: {}, livenessProbe: {successThreshold: 2, exec: {command: [ls]}}'),
      [
        'spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1',
        'spec.containers[0].readinessProbe: Required value: must specify a handler type',
      ],
    ],
    [
      'an environment from an unknown field',
      withContainer('env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.color}}}]'),
      [
        'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "status.color": error converting fieldPath: field label not supported: status.color',
      ],
    ],
    [
      'a toleration without key that is no Exists',
      pod(`{tolerations: [{value: x}], containers: [${container()}]}`),
      [
        'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ],
    ],
    [
      'a label value with a space',
      pod(`{containers: [${container()}]}`, '{name: web, labels: {a: "b c"}}'),
      ['metadata.labels: Invalid value: "b c": a valid label must be an empty string'],
    ],
    [
      'a deployment that does not select its own pods',
      deployment(`{${selector}, template: ${template('{app: other}')}}`),
      ['spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match template `labels`'],
    ],
    ['a deployment without selector', deployment(`{template: ${template()}}`), ['spec.selector: Required value']],
    [
      'a deployment whose pods do not restart',
      deployment(
        `{${selector}, template: ${template('{app: web}', `{restartPolicy: Never, containers: [${container()}]}`)}}`,
      ),
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    [
      'a rollout that can make no progress',
      deployment(`{${selector}, template: ${template()}, strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}}`),
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'],
    ],
    [
      'a negative number of replicas',
      deployment(`{replicas: -1, ${selector}, template: ${template()}}`),
      ['spec.replicas: Invalid value: -1: must be greater than or equal to 0'],
    ],
    ['a service without ports', service('{}'), ['spec.ports: Required value']],
    [
      'a service of an unknown type',
      service('{type: Magic, ports: [{port: 80}]}'),
      [
        'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    [
      'two ports without names',
      service('{ports: [{port: 80}, {port: 81}]}'),
      ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value'],
    ],
    [
      'a node port of a ClusterIP service',
      service('{ports: [{port: 80, nodePort: 30000}]}'),
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    [
      'a config map with a bad key',
      '{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {"a/b": x}}',
      [
        "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
      ],
    ],
    [
      'a TLS secret without its key',
      '{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: s}, data: {tls.crt: ""}}',
      ['data[tls.key]: Required value'],
    ],
    [
      'a job that always restarts',
      `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {${selector}, template: ${template('{app: web}', `{restartPolicy: Always, containers: [${container()}]}`)}}}`,
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      'a cron job with a short schedule',
      `{apiVersion: batch/v1, kind: CronJob, metadata: {name: j}, spec: {schedule: "* * *", jobTemplate: {spec: {template: ${template('{app: web}', `{restartPolicy: Never, containers: [${container()}]}`)}}}}}`,
      ['spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]'],
    ],
    [
      'a role without verbs',
      '{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r}, rules: [{apiGroups: [""], resources: [pods]}]}',
      ['rules[0].verbs: Required value: verbs must contain at least one value'],
    ],
    [
      'a budget with both numbers',
      '{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b}, spec: {minAvailable: 1, maxUnavailable: 1}}',
      [
        'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set',
      ],
    ],
    [
      'a priority above what users may have',
      '{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: p}, value: 1000000001}',
      ['value: Forbidden: maximum allowed value of a user defined priority is 1000000000'],
    ],
    [
      'an ingress without rules',
      '{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {}}',
      ['spec: Invalid value: []: either `defaultBackend` or `rules` must be specified'],
    ],
    [
      'a claim without size and modes',
      '{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: p}, spec: {}}',
      [
        'spec.accessModes: Required value: at least 1 access mode is required',
        'spec.resources[storage]: Required value',
      ],
    ],
    [
      'a volume that climbs out of its path',
      '{apiVersion: v1, kind: PersistentVolume, metadata: {name: v}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /a/../b}}}',
      ['spec.hostPath.path: Invalid value: "/a/../b": must not contain \'..\''],
    ],
    [
      'a quota of an unknown resource',
      '{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {unicorns: 1}}}',
      ['spec.hard[unicorns]: Invalid value: "unicorns": must be a standard resource for quota'],
    ],
  ])('%s', (_what, yaml, expected) => {
    const errors = errorsOf(parse(yaml));
    expect(errors).toHaveLength(expected.length);
    for (const text of expected) expect(errors).toEqual(expect.arrayContaining([expect.stringContaining(text)]));
  });
});

const claim = (more: string, status = '{}') =>
  `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 9Gi}}, ${more}}, status: ${status}}`;
const claimIsFixed =
  'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
const grown = '{phase: Bound, capacity: {storage: 4Gi}}';
const asks = (storage: string) => ({ resources: { requests: { storage } } });

describe('what is refused or accepted on update', () => {
  const changed = (yaml: string, change: (object: UnknownObject & { spec: never }) => void): string[] => {
    const old = parse(yaml);
    const next = structuredClone(old);
    change(next as never);
    return errorsOf(next, old);
  };
  type Spec = Record<string, unknown> & { containers: Record<string, unknown>[] };

  it('a pod may change its image, and nothing else of its spec', () => {
    const web = withContainer('command: [sleep]');
    expect(
      changed(web, ({ spec }) => ((spec as Spec).containers[0] = { ...(spec as Spec).containers[0], image: 'alpine' })),
    ).toEqual([]);
    const [error] = changed(
      web,
      ({ spec }) => ((spec as Spec).containers[0] = { ...(spec as Spec).containers[0], command: ['ls'] }),
    );
    expect(error).toContain(
      'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
    );
    expect(error).toContain('"sleep"');
    expect(changed(web, ({ spec }) => (spec as Spec).containers.push({ name: 'd', image: 'x' }))).toEqual([
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ]);
  });

  it('a pod may get more tolerations, not other ones', () => {
    const web = pod(`{tolerations: [{key: a, operator: Exists}], containers: [${container()}]}`);
    const add = { key: 'b', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 1 };
    expect(changed(web, ({ spec }) => ((spec as Spec)['tolerations'] as unknown[]).push(add))).toEqual([]);
    expect(changed(web, ({ spec }) => ((spec as Spec)['tolerations'] = [add]))).toEqual([
      'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
    ]);
  });

  it.each<[string, string, (object: Record<string, Record<string, unknown>>) => void, string[]]>([
    [
      'the selector of a deployment',
      deployment(`{${selector}, template: ${template('{app: web, tier: a}')}}`),
      ({ spec }) => Object.assign(spec as object, { selector: { matchLabels: { tier: 'a' } } }),
      ['spec.selector: Invalid value: {"matchLabels":{"tier":"a"}}: field is immutable'],
    ],
    [
      'the address of a service',
      service('{clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7], ports: [{port: 80}]}'),
      ({ spec }) => Object.assign(spec as object, { clusterIP: '10.96.0.8', clusterIPs: ['10.96.0.8'] }),
      ['spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set'],
    ],
    [
      'an immutable config map',
      '{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, immutable: true, data: {a: x}}',
      (object) => Object.assign(object, { data: { a: 'y' } }),
      ['data: Forbidden: field is immutable when `immutable` is set'],
    ],
    [
      'the type of a secret',
      '{apiVersion: v1, kind: Secret, metadata: {name: s}}',
      (object) => Object.assign(object, { type: 'example.com/x' }),
      ['type: Invalid value: "example.com/x": field is immutable'],
    ],
    [
      'the role of a binding',
      '{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: r}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}}',
      ({ roleRef }) => Object.assign(roleRef as object, { name: 'b' }),
      [
        'roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"b"}: cannot change roleRef',
      ],
    ],
    [
      'the node of a volume',
      '{apiVersion: v1, kind: PersistentVolume, metadata: {name: v}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], local: {path: /a}, nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}}',
      ({ spec }) =>
        Object.assign(spec as object, {
          nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'b', operator: 'Exists' }] }] } },
        }),
      [
        'spec.nodeAffinity: Invalid value: {"required":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"b","operator":"Exists"}]}]}}: field is immutable, except for updating from beta label to GA',
      ],
    ],
    [
      'another class of a claim',
      claim('storageClassName: a'),
      ({ spec }) => Object.assign(spec as object, { storageClassName: 'b' }),
      [claimIsFixed],
    ],
    [
      'a class of a claim that has none yet',
      claim(''),
      ({ spec }) => Object.assign(spec as object, { storageClassName: 'b' }),
      [],
    ],
    [
      'a class of a claim that wants none',
      claim('storageClassName: ""'),
      ({ spec }) => Object.assign(spec as object, { storageClassName: 'b' }),
      [claimIsFixed],
    ],
    ['a growth taken back', claim('', grown), ({ spec }) => Object.assign(spec as object, asks('5Gi')), []],
    [
      'a volume made smaller',
      claim('', grown),
      ({ spec }) => Object.assign(spec as object, asks('4Gi')),
      ['spec.resources.requests.storage: Forbidden: field can not be less than status.capacity'],
    ],
    [
      'finalizers of what is going away',
      '{apiVersion: v1, kind: ConfigMap, metadata: {name: c, deletionTimestamp: "2026-01-01T00:00:00Z"}}',
      ({ metadata }) => Object.assign(metadata as object, { finalizers: ['example.com/x'] }),
      [
        'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/x"}',
      ],
    ],
  ])('%s', (_what, yaml, change, expected) => {
    const old = parse(yaml);
    const next = structuredClone(old);
    change(next as never);
    expect(errorsOf(next, old)).toEqual(expected);
    expect(errorsOf(structuredClone(old), old)).toEqual([]);
  });
});

describe('what is accepted', () => {
  it.each([
    pod(
      `{initContainers: [{name: i, image: a, restartPolicy: Always, startupProbe: {tcpSocket: {port: http}}}], containers: [${container(
        'ports: [{name: http, containerPort: 80}], env: [{name: a.b-c, value: x}, {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: L, valueFrom: {fieldRef: {fieldPath: "metadata.labels[\'a\']"}}}], volumeMounts: [{name: v, mountPath: /v, subPath: a/b}], livenessProbe: {httpGet: {path: /, port: http}}, resources: {limits: {cpu: 1, example.com/gpu: 2}, requests: {cpu: 500m, example.com/gpu: 2}}',
      )}], volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: token}}, {configMap: {name: c}}, {downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}}]}}], affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {a: b}}}}]}}, topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}`,
    ),
    deployment(`{${selector}, template: ${template()}}`),
    service('{type: NodePort, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: http, nodePort: 30080}]}'),
    service('{type: ExternalName, externalName: example.com}'),
    service('{clusterIP: None, selector: {a: b}}'),
    `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d}, spec: {${selector}, template: ${template()}}}`,
    `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: d}, spec: {serviceName: s, ${selector}, template: ${template()}}}`,
    `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: d}, spec: {serviceName: s, ${selector}, template: ${template(undefined, `{containers: [${container('volumeMounts: [{name: data, mountPath: /data}]')}]}`)}, volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]}}`,
    `{apiVersion: batch/v1, kind: CronJob, metadata: {name: j}, spec: {schedule: "*/5 0-6 * jan mon-fri", timeZone: Europe/Berlin, jobTemplate: {spec: {template: ${template('{}', `{restartPolicy: Never, containers: [${container()}]}`)}}}}}`,
    '{apiVersion: v1, kind: LimitRange, metadata: {name: l}, spec: {limits: [{type: Container, default: {cpu: 1}, defaultRequest: {cpu: 500m}, max: {cpu: 2}}]}}',
    '{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {pods: 3, requests.cpu: 1, count/deployments.apps: 2, services.nodeports: 0}}}',
    '{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {rules: [{host: "*.example.com", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}}',
    '{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: n}, spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 80, endPort: 90}]}]}}',
    '{apiVersion: v1, kind: PersistentVolume, metadata: {name: p}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /d}}}',
    '{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: "system:x"}, roleRef: {kind: ClusterRole, name: "system:x"}, subjects: [{kind: User, name: me}, {kind: ServiceAccount, name: s, namespace: n}]}',
    '{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h}, spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}',
    '{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: system-node-critical}, value: 2000001000}',
    '{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: l}, spec: {holderIdentity: x, leaseDurationSeconds: 40}}',
    '{apiVersion: v1, kind: Node, metadata: {name: w1}, spec: {taints: [{key: a, effect: NoSchedule}]}, status: {capacity: {cpu: 2, memory: 1Gi, pods: 110}}}',
    '{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e}, addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}], ports: [{port: 80}]}',
  ])('%s', (yaml) => {
    expect(errorsOf(parse(yaml))).toEqual([]);
  });

  it('everything that the add-ons bring', () => {
    const folder = join(import.meta.dirname, '../../../templates/addons');
    const objects = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.yaml'))
      .flatMap(
        (name) =>
          loadAll(readFileSync(join(folder, name), 'utf8').replace(/\{\{[^}]*\}\}/g, '10.0.0.1')) as UnknownObject[],
      )
      .filter((object) => object?.kind);
    expect(objects.length).toBeGreaterThan(0);
    for (const object of objects) expect(errorsOf(parse(JSON.stringify(object)))).toEqual([]);
  });
});

describe('the status of a pod', () => {
  const ended = (exitCode: number) => ({ containerStatuses: [{ name: 'c', state: { terminated: { exitCode } } }] });
  const running = { containerStatuses: [{ name: 'c', state: { running: {} } }] };
  it.each([
    ['Always', 0, true],
    ['OnFailure', 1, true],
    ['OnFailure', 0, false],
    ['Never', 1, false],
  ])('with restart policy %s and exit code %i a container may run again: %s', (policy, code, may) => {
    const old = { ...parse(pod(`{restartPolicy: ${policy}, containers: [${container()}]}`)), status: ended(code) };
    const expected = may
      ? []
      : ['status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state'];
    expect(errorsOf({ ...old, status: running }, old, 'status')).toEqual(expected);
  });
});
