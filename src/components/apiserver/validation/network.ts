/** Endpoints, endpoint slices, ingresses and network policies. */
import { isIP } from 'node:net';
import { dns1123LabelErrors, dns1123SubdomainErrors, portNameErrors } from '../../../machinery/api/names.ts';
import type { EndpointSlice, Endpoints, Ingress, NetworkPolicy, UnknownObject } from '../../../machinery/api/types.ts';
import { cidr, ipAddress, named, oneOf, optionalNamed, optionalOneOf, portNumber, portNumberOrName } from './checks.ts';
import {
  at,
  duplicate,
  eachInvalid,
  type FieldError,
  fieldImmutable,
  forbiddenField,
  invalidValue,
  required,
  tooMany,
  unsupported,
} from './field-errors.ts';
import { labelSelectorErrors } from './selectors.ts';

const protocols = ['SCTP', 'TCP', 'UDP'];

/** Addresses that point back at a node or nowhere. */
function endpointAddressErrors(ip: string, field: string): FieldError[] {
  const errors = ipAddress(ip, field);
  if (errors.length) return errors;
  if (/^(0\.0\.0\.0|::)$/.test(ip)) return [invalidValue(field, ip, `may not be unspecified (${ip})`)];
  if (/^(127\.|::1$)/.test(ip))
    return [invalidValue(field, ip, 'may not be in the loopback range (127.0.0.0/8, ::1/128)')];
  if (/^(169\.254\.|fe[89ab])/i.test(ip))
    return [invalidValue(field, ip, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)')];
  if (/^(224\.0\.0\.|ff02:)/i.test(ip))
    return [invalidValue(field, ip, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)')];
  return [];
}

export function endpointsErrors(object: UnknownObject): FieldError[] {
  return ((object as Endpoints).subsets ?? []).flatMap((subset, i) => {
    const here = at('subsets', i);
    const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
    const errors: FieldError[] = [];
    if (!addresses.length && !notReadyAddresses.length)
      errors.push(required(here, 'must specify `addresses` or `notReadyAddresses`'));
    for (const [list, name] of [
      [addresses, 'addresses'],
      [notReadyAddresses, 'notReadyAddresses'],
    ] as const)
      for (const [j, { ip, hostname, nodeName }] of list.entries()) {
        const field = at(`${here}.${name}`, j);
        errors.push(
          ...endpointAddressErrors(ip, `${field}.ip`),
          ...optionalNamed(hostname, `${field}.hostname`, dns1123LabelErrors),
          ...optionalNamed(nodeName, `${field}.nodeName`, dns1123SubdomainErrors),
        );
      }
    for (const [j, { name, port, protocol }] of ports.entries()) {
      const field = at(`${here}.ports`, j);
      if (ports.length > 1 && !name) errors.push(required(`${field}.name`));
      else if (name) errors.push(...eachInvalid(`${field}.name`, name, dns1123LabelErrors(name)));
      errors.push(...portNumber(port, `${field}.port`), ...oneOf(protocol, protocols, `${field}.protocol`));
    }
    return errors;
  });
}

const maxEndpoints = 1000;
const maxAddresses = 100;
const maxPorts = 20_000;

export function endpointSliceErrors(object: UnknownObject): FieldError[] {
  const { addressType, endpoints, ports } = object as unknown as EndpointSlice;
  const types = ['FQDN', 'IPv4', 'IPv6'];
  const errors: FieldError[] = [];
  if (!addressType) errors.push(required('addressType'));
  else if (!types.includes(addressType)) errors.push(unsupported('addressType', addressType, types));
  if ((endpoints ?? []).length > maxEndpoints)
    return [...errors, tooMany('endpoints', (endpoints ?? []).length, maxEndpoints)];
  for (const [i, { addresses, hostname, nodeName }] of (endpoints ?? []).entries()) {
    const here = at('endpoints', i);
    if (!addresses?.length) errors.push(required(`${here}.addresses`, 'must contain at least 1 address'));
    else if (addresses.length > maxAddresses) errors.push(tooMany(`${here}.addresses`, addresses.length, maxAddresses));
    for (const [j, address] of (addresses ?? []).entries())
      errors.push(...sliceAddressErrors(address, addressType, at(`${here}.addresses`, j)));
    errors.push(
      ...optionalNamed(nodeName, `${here}.nodeName`, dns1123SubdomainErrors),
      ...optionalNamed(hostname, `${here}.hostname`, dns1123LabelErrors),
    );
  }
  if ((ports ?? []).length > maxPorts) return [...errors, tooMany('ports', (ports ?? []).length, maxPorts)];
  const names = new Set<string>();
  for (const [i, { name = '', port, protocol }] of (ports ?? []).entries()) {
    const here = at('ports', i);
    if (name) errors.push(...eachInvalid(`${here}.name`, name, dns1123LabelErrors(name)));
    if (names.has(name)) errors.push(duplicate(`${here}.name`, name));
    names.add(name);
    if (port !== undefined && port !== null) errors.push(...portNumber(port, `${here}.port`));
    errors.push(...oneOf(protocol, protocols, `${here}.protocol`));
  }
  return errors;
}

function sliceAddressErrors(address: string, type: string, field: string): FieldError[] {
  if (type === 'FQDN') return eachInvalid(field, address, dns1123SubdomainErrors(address));
  const family = isIP(address);
  if (type === 'IPv4' && family !== 4) return [invalidValue(field, address, 'must be an IPv4 address')];
  if (type === 'IPv6' && family !== 6) return [invalidValue(field, address, 'must be an IPv6 address')];
  return endpointAddressErrors(address, field);
}

export function endpointSliceUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const errors = endpointSliceErrors(object);
  if (object['addressType'] !== old['addressType'])
    errors.push(invalidValue('addressType', object['addressType'], fieldImmutable));
  return errors;
}

type Backend = NonNullable<NonNullable<Ingress['spec']>['defaultBackend']>;
type Rule = NonNullable<NonNullable<Ingress['spec']>['rules']>[number];

export function ingressErrors(object: UnknownObject): FieldError[] {
  const { spec } = object as Ingress;
  const { rules = [], defaultBackend, tls = [], ingressClassName } = spec ?? {};
  const errors: FieldError[] = [];
  if (!rules.length && !defaultBackend)
    errors.push(invalidValue('spec', rules, 'either `defaultBackend` or `rules` must be specified'));
  if (defaultBackend) errors.push(...backendErrors(defaultBackend, 'spec.defaultBackend'));
  for (const [i, rule] of rules.entries()) errors.push(...ingressRuleErrors(rule, at('spec.rules', i)));
  for (const [i, { hosts = [], secretName }] of tls.entries()) {
    const here = at('spec.tls', i);
    for (const [j, host] of hosts.entries()) errors.push(...hostErrors(host, at(`${here}.hosts`, j)));
    errors.push(...optionalNamed(secretName, `${here}.secretName`, dns1123SubdomainErrors));
  }
  return [...errors, ...optionalNamed(ingressClassName, 'spec.ingressClassName', dns1123SubdomainErrors)];
}

function hostErrors(host: string, field: string): FieldError[] {
  if (!host.includes('*')) return eachInvalid(field, host, dns1123SubdomainErrors(host));
  const rest = host.slice(2);
  return host.startsWith('*.') && !dns1123SubdomainErrors(rest).length
    ? []
    : [
        invalidValue(
          field,
          host,
          "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
      ];
}

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];
const badParts = ['//', '/./', '/../', '%2f', '%2F'];

function ingressRuleErrors({ host, http }: Rule, here: string): FieldError[] {
  const errors: FieldError[] = [];
  if (host) {
    if (isIP(host)) errors.push(invalidValue(`${here}.host`, host, 'must be a DNS name, not an IP address'));
    else errors.push(...hostErrors(host, `${here}.host`));
  }
  if (!http) return errors;
  const field = `${here}.http.paths`;
  if (!http.paths?.length) errors.push(required(field));
  for (const [i, { path = '', pathType, backend }] of (http.paths ?? []).entries()) {
    const item = at(field, i);
    if (!pathType) errors.push(required(`${item}.pathType`, 'pathType must be specified'));
    else if (!pathTypes.includes(pathType)) errors.push(unsupported(`${item}.pathType`, pathType, pathTypes));
    else if (pathType === 'ImplementationSpecific') {
      if (path && !path.startsWith('/')) errors.push(invalidValue(`${item}.path`, path, 'must be an absolute path'));
    } else {
      if (!path.startsWith('/')) errors.push(invalidValue(`${item}.path`, path, 'must be an absolute path'));
      for (const part of badParts)
        if (path.includes(part)) errors.push(invalidValue(`${item}.path`, path, `must not contain '${part}'`));
      for (const end of ['/..', '/.'])
        if (path.endsWith(end)) errors.push(invalidValue(`${item}.path`, path, `cannot end with '${end}'`));
    }
    errors.push(...backendErrors(backend, `${item}.backend`));
  }
  return errors;
}

function backendErrors({ service, resource }: Backend, field: string): FieldError[] {
  if (service && resource) return [invalidValue(field, '', 'cannot set both resource and service backends')];
  if (resource) return resource.kind && resource.name ? [] : [required(`${field}.resource`)];
  if (!service) return [required(field, 'must specify a service or resource backend')];
  const { name, port } = service;
  const errors = named(name, `${field}.service.name`, dns1123LabelErrors);
  if (!port?.name && !port?.number) errors.push(required(`${field}.service`, 'port name or number is required'));
  else if (port.name && port.number)
    errors.push(invalidValue(`${field}.service`, port, 'cannot set both port name & port number'));
  else if (port.name) errors.push(...eachInvalid(`${field}.service.port.name`, port.name, portNameErrors(port.name)));
  else if (port.number) errors.push(...portNumber(port.number, `${field}.service.port.number`));
  return errors;
}

type PolicySpec = NonNullable<NetworkPolicy['spec']>;
type Peer = NonNullable<NonNullable<NonNullable<PolicySpec['egress']>[number]['to']>>[number];
type PolicyPort = NonNullable<NonNullable<PolicySpec['egress']>[number]['ports']>[number];

export function networkPolicyErrors(object: UnknownObject): FieldError[] {
  const spec = (object as NetworkPolicy).spec ?? ({} as PolicySpec);
  const errors = labelSelectorErrors(spec.podSelector, 'spec.podSelector');
  for (const [i, rule] of (spec.ingress ?? []).entries())
    errors.push(...policyRuleErrors(rule.ports, (rule as { from?: Peer[] }).from, at('spec.ingress', i), 'from'));
  for (const [i, rule] of (spec.egress ?? []).entries())
    errors.push(...policyRuleErrors(rule.ports, rule.to, at('spec.egress', i), 'to'));
  const types = spec.policyTypes ?? [];
  if (types.length > 2)
    errors.push(invalidValue('spec.policyTypes', types, 'may not specify more than two policyTypes'));
  else
    for (const [i, type] of types.entries())
      if (!['Egress', 'Ingress'].includes(type))
        errors.push(unsupported(at('spec.policyTypes', i), type, ['Egress', 'Ingress']));
  return errors;
}

function policyRuleErrors(
  ports: PolicyPort[] | undefined,
  peers: Peer[] | undefined,
  here: string,
  name: string,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, { port, endPort, protocol }] of (ports ?? []).entries()) {
    const field = at(`${here}.ports`, i);
    errors.push(...optionalOneOf(protocol, protocols, `${field}.protocol`));
    if (port !== undefined && port !== null) errors.push(...portNumberOrName(port, `${field}.port`));
    if (endPort === undefined || endPort === null) continue;
    if (port === undefined || port === null)
      errors.push(required(`${field}.port`, 'must be specified when `endPort` is specified'));
    else if (typeof port === 'string')
      errors.push(invalidValue(`${field}.endPort`, endPort, 'may not be specified when `port` is non-numeric'));
    else if (endPort < Number(port))
      errors.push(invalidValue(`${field}.endPort`, endPort, 'must be greater than or equal to `port`'));
    errors.push(...portNumber(endPort, `${field}.endPort`));
  }
  for (const [i, { podSelector, namespaceSelector, ipBlock }] of (peers ?? []).entries()) {
    const field = at(`${here}.${name}`, i);
    errors.push(
      ...labelSelectorErrors(podSelector, `${field}.podSelector`),
      ...labelSelectorErrors(namespaceSelector, `${field}.namespaceSelector`),
    );
    if (ipBlock) {
      errors.push(
        ...(ipBlock.cidr ? cidr(ipBlock.cidr, `${field}.ipBlock.cidr`) : [required(`${field}.ipBlock.cidr`)]),
      );
      for (const [j, range] of (ipBlock.except ?? []).entries())
        errors.push(...cidr(range, at(`${field}.ipBlock.except`, j)));
      if (podSelector || namespaceSelector)
        errors.push(forbiddenField(field, 'may not specify both ipBlock and another peer'));
    } else if (!podSelector && !namespaceSelector) errors.push(required(field, 'must specify a peer'));
  }
  return errors;
}
