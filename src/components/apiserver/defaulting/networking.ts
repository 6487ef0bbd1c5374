/** Defaults of networking, discovery and policy kinds. */
import { ensureObject, type Fields, hasObject, listAt, objectAt, setDefault } from './fields.ts';

function defaultNetworkPolicy(policy: Fields): void {
  const spec = ensureObject(policy, 'spec');
  for (const direction of ['ingress', 'egress']) {
    for (const rule of listAt(spec, direction)) {
      for (const port of listAt(rule, 'ports')) setDefault(port, 'protocol', 'TCP');
    }
  }
  if (Array.isArray(spec['policyTypes']) && spec['policyTypes'].length > 0) return;
  spec['policyTypes'] = listAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}

function defaultIngressClass(ingressClass: Fields): void {
  const spec = objectAt(ingressClass, 'spec');
  if (hasObject(spec, 'parameters')) setDefault(objectAt(spec, 'parameters'), 'scope', 'Cluster');
}

function defaultEndpointSlice(slice: Fields): void {
  for (const port of listAt(slice, 'ports')) {
    setDefault(port, 'name', '');
    setDefault(port, 'protocol', 'TCP');
  }
}

export const networkingDefaults: Record<string, (object: Fields) => void> = {
  'discovery.k8s.io/v1/EndpointSlice': defaultEndpointSlice,
  'networking.k8s.io/v1/IngressClass': defaultIngressClass,
  'networking.k8s.io/v1/NetworkPolicy': defaultNetworkPolicy,
};
