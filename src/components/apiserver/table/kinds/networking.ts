/** The networking group: Ingresses, network policies, addresses of services. */
import type * as k8s from '@kubernetes/client-node';
import type { Ingress, NetworkPolicy, Plain } from '../../../../machinery/api/types.ts';
import { loadBalancerAddresses, selector } from '../format.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer } from '../printer.ts';

/** Rules without a host count among those left out, as upstream counts them. */
function hosts({ spec }: Ingress): string {
  const rules = spec?.rules ?? [];
  const list: string[] = [];
  let more = false;
  for (const { host } of rules) {
    more ||= list.length === 3;
    if (!more && host) list.push(host);
  }
  if (list.length === 0) return '*';
  return more ? `${list.join(',')} + ${rules.length - 3} more...` : list.join(',');
}

export const ingressPrinter = printer<Ingress>({
  columns: [
    nameColumn,
    column('Class', 'string', 'Class whose controller serves it.'),
    column('Hosts', 'string', 'Host names of the rules.'),
    column('Address', 'string', 'Addresses of the load balancer.'),
    column('Ports', 'string', 'Open ports.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.ingressClassName ?? '<none>',
    hosts(object),
    loadBalancerAddresses(object.status?.loadBalancer),
    object.spec?.tls?.length ? '80, 443' : '80',
    ageOf(object, now),
  ],
});

function parameters(of: Plain<k8s.V1IngressClassParametersReference> | undefined): string {
  if (!of) return '<none>';
  return `${of.kind}${of.apiGroup === undefined ? '' : `.${of.apiGroup}`}/${of.name}`;
}

export const ingressClassPrinter = printer<Plain<k8s.V1IngressClass>>({
  columns: [
    nameColumn,
    column('Controller', 'string', 'Controller that serves the class.'),
    column('Parameters', 'string', 'Resource with parameters of the controller.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.controller ?? '',
    parameters(object.spec?.parameters),
    ageOf(object, now),
  ],
});

export const networkPolicyPrinter = printer<NetworkPolicy>({
  columns: [nameColumn, column('Pod-Selector', 'string', 'Labels of the pods that it is about.'), ageColumn],
  cells: (object, now) => [nameOf(object), selector(object.spec?.podSelector), ageOf(object, now)],
});

export const serviceCidrPrinter = printer<Plain<k8s.V1ServiceCIDR>>({
  columns: [nameColumn, column('CIDRs', 'string', 'Ranges of service addresses.'), ageColumn],
  cells: (object, now) => [nameOf(object), (object.spec?.cidrs ?? []).join(','), ageOf(object, now)],
});

function parent(of: Plain<k8s.V1ParentReference> | undefined): string {
  if (!of) return '<none>';
  const resource = `${of.resource}${of.group ? `.${of.group}` : ''}`.toLowerCase();
  return `${resource}${of.namespace ? `/${of.namespace}` : ''}/${of.name}`;
}

export const ipAddressPrinter = printer<Plain<k8s.V1IPAddress>>({
  columns: [nameColumn, column('ParentRef', 'string', 'What holds the address.'), ageColumn],
  cells: (object, now) => [nameOf(object), parent(object.spec?.parentRef), ageOf(object, now)],
});
