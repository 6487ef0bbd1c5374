import { describe, expect, it } from 'vitest';
import { admissionPluginNames, createAdmissionChain } from '../../../src/components/apiserver/admission/chain.ts';
import { alwaysDeny } from '../../../src/components/apiserver/admission/plugins/always.ts';
import { namespaceExists } from '../../../src/components/apiserver/admission/plugins/namespace-existence.ts';
import {
  limitPodHardAntiAffinityTopology,
  podNodeSelector,
  podTolerationRestriction,
} from '../../../src/components/apiserver/admission/plugins/pod-placement.ts';
import type { Pod, UnknownObject } from '../../../src/machinery/api/types.ts';
import { attributesOf, cluster, run } from './cluster.ts';

const namespace = (annotations: Record<string, string>): Record<string, UnknownObject> => ({
  'namespaces//shop': { metadata: { name: 'shop', annotations } },
});
const pod = (spec: object): UnknownObject => ({ metadata: { name: 'web' }, spec: { containers: [], ...spec } });
const selector = { 'scheduler.alpha.kubernetes.io/node-selector': 'zone=a' };
const whitelist = { 'scheduler.alpha.kubernetes.io/tolerationsWhitelist': '[{"key":"a","operator":"Exists"}]' };
const anti = (topologyKey: string) => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey }] } },
});

describe('plugins that are off by default', () => {
  it.each([
    [
      'a pod that asks for another zone',
      podNodeSelector,
      selector,
      { nodeSelector: { zone: 'b' } },
      'conflicts with its namespace',
    ],
    ['a pod that asks for the same zone', podNodeSelector, selector, { nodeSelector: { zone: 'a' } }, ''],
    [
      'a toleration outside the whitelist',
      podTolerationRestriction,
      whitelist,
      { tolerations: [{ key: 'b', operator: 'Exists' }] },
      'conflict with its namespace whitelist',
    ],
    [
      'a toleration within the whitelist',
      podTolerationRestriction,
      whitelist,
      { tolerations: [{ key: 'a', value: 'x' }] },
      '',
    ],
    [
      'anti-affinity over zones',
      limitPodHardAntiAffinityTopology,
      {},
      anti('zone'),
      'has TopologyKey zone but only key kubernetes.io/hostname is allowed',
    ],
    ['anti-affinity over hosts', limitPodHardAntiAffinityTopology, {}, anti('kubernetes.io/hostname'), ''],
    ['anything at all', alwaysDeny, {}, {}, 'admission control is denying all modifications'],
    ['a namespace that exists', namespaceExists, {}, {}, ''],
  ])('%s', async (_what, factory, annotations, spec, message) => {
    const { deps } = cluster(namespace(annotations));
    const answer = await run(factory(deps, {}), attributesOf({ resource: 'pods' }, pod(spec)));
    if (message) expect(answer).toContain(message);
    else expect(answer).toBe('');
  });

  it('a namespace gives its pods their node selector', async () => {
    const attributes = attributesOf({ resource: 'pods' }, pod({}));
    await run(podNodeSelector(cluster(namespace(selector)).deps, {}), attributes);
    expect((attributes.object as Pod).spec?.nodeSelector).toEqual({ zone: 'a' });
  });

  it('an unknown plugin cannot be turned on or off', () => {
    const { deps } = cluster({});
    expect(admissionPluginNames).toContain('PodSecurity');
    expect(() => createAdmissionChain({ enable: ['Nope'], disable: [] }, deps)).toThrow('"Nope" is unknown');
  });
});
