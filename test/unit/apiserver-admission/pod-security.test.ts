import { describe, expect, it } from 'vitest';
import { podSecurity } from '../../../src/components/apiserver/admission/plugins/pod-security/pod-security.ts';
import { listed, violations } from '../../../src/components/apiserver/admission/plugins/pod-security/policy.ts';
import type { Pod, PodSpec, UnknownObject } from '../../../src/machinery/api/types.ts';
import { attributesOf, cluster, run } from './cluster.ts';

const namespace = (labels: Record<string, string>) => ({
  'namespaces//shop': { metadata: { name: 'shop', labels } } satisfies UnknownObject,
});
const level = (name: string) => ({ 'pod-security.kubernetes.io/enforce': name });

const restricted: PodSpec = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    { name: 'c', image: 'x', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
  ],
};
const podOf = (spec: PodSpec): Pod => ({ metadata: { name: 'web', namespace: 'shop' }, spec });
const plain = podOf({ containers: [{ name: 'c', image: 'x' }] });

describe('the standards', () => {
  it.each<[string, 'baseline' | 'restricted', PodSpec, string]>([
    ['a plain pod on the baseline', 'baseline', plain.spec as PodSpec, ''],
    ['a careful pod on the restricted level', 'restricted', restricted, ''],
    [
      'a plain pod on the restricted level',
      'restricted',
      plain.spec as PodSpec,
      'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ],
    [
      'host namespaces',
      'baseline',
      { ...restricted, hostNetwork: true, hostPID: true },
      'host namespaces (hostNetwork=true, hostPID=true)',
    ],
    [
      'host paths on the baseline',
      'baseline',
      { ...restricted, volumes: [{ name: 'v', hostPath: { path: '/' } }] },
      'hostPath volumes (volume "v")',
    ],
    [
      'host paths on the restricted level',
      'restricted',
      { ...restricted, volumes: [{ name: 'v', hostPath: { path: '/' } }] },
      'restricted volume types (volume "v" uses restricted volume type "hostPath")',
    ],
    [
      'privileged containers',
      'baseline',
      { containers: ['a', 'b'].map((name) => ({ name, image: 'x', securityContext: { privileged: true } })) },
      'privileged (containers "a", "b" must not set securityContext.privileged=true)',
    ],
    [
      'added capabilities',
      'baseline',
      { containers: [{ name: 'a', image: 'x', securityContext: { capabilities: { add: ['NET_ADMIN', 'CHOWN'] } } }] },
      'non-default capabilities (container "a" must not include "NET_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      'host ports',
      'baseline',
      {
        containers: [
          {
            name: 'a',
            image: 'x',
            ports: [
              { containerPort: 80, hostPort: 80 },
              { containerPort: 81, hostPort: 81 },
            ],
          },
        ],
      },
      'hostPort (container "a" uses hostPorts 80, 81)',
    ],
    [
      'sysctls',
      'baseline',
      { ...restricted, securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
      'forbidden sysctls (kernel.msgmax)',
    ],
    [
      'root by number',
      'restricted',
      { ...restricted, securityContext: { ...restricted.securityContext, runAsUser: 0 } },
      'runAsUser=0 (pod must not set runAsUser=0)',
    ],
  ])('%s', (_what, wanted, spec, message) => {
    expect(listed(violations({ level: wanted, version: 'latest' }, podOf(spec)))).toBe(message);
  });

  it('an older version has fewer checks', () => {
    const ids = (version: string) => violations({ level: 'restricted', version }, plain).map(({ reason }) => reason);
    expect(ids('v1.7')).toEqual(['runAsNonRoot != true']);
    expect(ids('v1.19')).toEqual(['allowPrivilegeEscalation != false', 'runAsNonRoot != true', 'seccompProfile']);
  });
});

describe('PodSecurity', () => {
  it('refuses pods, and warns owners of pods', async () => {
    const { deps } = cluster(namespace(level('restricted')));
    const plugin = podSecurity(deps, {});
    const refused = await run(plugin, attributesOf({ resource: 'pods' }, plain as UnknownObject));
    expect(refused).toMatch(
      /^pods "web" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false \(/,
    );
    const deployment = attributesOf(
      { group: 'apps', resource: 'deployments' },
      { metadata: { name: 'web' }, spec: { template: { spec: plain.spec } } },
    );
    expect(await run(plugin, deployment)).toBe('');
    expect(deployment.warnings[0]).toMatch(/^would violate PodSecurity "restricted:latest": allowPrivilegeEscalation/);
  });

  it('lets an update pass that changes nothing of importance', async () => {
    const { deps } = cluster(namespace(level('restricted')));
    const next = { ...plain, metadata: { ...plain.metadata, labels: { a: 'b' } } } as UnknownObject;
    const attributes = attributesOf({ resource: 'pods' }, next, {
      operation: 'UPDATE',
      oldObject: plain as UnknownObject,
    });
    expect(await run(podSecurity(deps, {}), attributes)).toBe('');
  });

  it('a namespace without labels takes everything', async () => {
    const { deps } = cluster(namespace({}));
    const attributes = attributesOf(
      { resource: 'pods' },
      podOf({ hostNetwork: true, containers: [] }) as UnknownObject,
    );
    expect(await run(podSecurity(deps, {}), attributes)).toBe('');
  });

  it('labels that make no sense are refused', async () => {
    const { deps } = cluster({});
    const attributes = attributesOf(
      { resource: 'namespaces' },
      { metadata: { name: 'shop', labels: level('strict') } },
      { namespace: '' },
    );
    expect(await run(podSecurity(deps, {}), attributes)).toBe(
      'Namespace "shop" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted',
    );
  });

  it('a stricter level names the pods that break it', async () => {
    const { deps } = cluster({
      'pods/shop/a': plain as UnknownObject,
      'pods/shop/b': { ...plain, metadata: { name: 'other' } } as UnknownObject,
    });
    const attributes = attributesOf(
      { resource: 'namespaces' },
      { metadata: { name: 'shop', labels: level('restricted') } },
      { operation: 'UPDATE', namespace: '', oldObject: { metadata: { name: 'shop' } } },
    );
    expect(await run(podSecurity(deps, {}), attributes)).toBe('');
    expect(attributes.warnings).toEqual([
      'existing pods in namespace "shop" violate the new PodSecurity enforce level "restricted:latest"',
      'other (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile',
    ]);
  });
});
