/** Services. */
import { isIP } from 'node:net';
import { dns1123LabelErrors, dns1123SubdomainErrors, qualifiedNameErrors } from '../../../machinery/api/names.ts';
import type { Service, ServicePort, UnknownObject } from '../../../machinery/api/types.ts';
import { cidr, ipAddress, named, oneOf, optionalOneOf, portNumber, portNumberOrName } from './checks.ts';
import {
  at,
  duplicate,
  eachInvalid,
  type FieldError,
  forbiddenField,
  invalidValue,
  required,
  unsupported,
} from './field-errors.ts';
import { labelErrors } from './metadata.ts';

type Spec = NonNullable<Service['spec']>;
const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const maxAffinitySeconds = 86_400;
const kubeletPort = 10250;

export function serviceErrors(object: UnknownObject): FieldError[] {
  const spec = (object as Service).spec ?? {};
  const { type = '', ports = [] } = spec;
  const headless = spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None';
  const errors: FieldError[] = [];
  if (!ports.length && !headless && type !== 'ExternalName') errors.push(required('spec.ports'));
  errors.push(...typeErrors(spec, headless));
  const names = new Set<string>();
  for (const [i, port] of ports.entries())
    errors.push(...portErrors(port, ports.length > 1, names, at('spec.ports', i)));
  errors.push(...labelErrors(spec.selector, 'spec.selector'), ...affinityErrors(spec));
  for (const [i, ip] of (spec.clusterIPs ?? []).entries())
    if (ip !== 'None') errors.push(...ipAddress(ip, at('spec.clusterIPs', i)));
  if (spec.clusterIP && spec.clusterIPs?.length && spec.clusterIP !== spec.clusterIPs[0])
    errors.push(invalidValue('spec.clusterIPs', spec.clusterIPs, 'first value must match `clusterIP`'));
  for (const [i, ip] of (spec.externalIPs ?? []).entries())
    errors.push(...externalIpErrors(ip, at('spec.externalIPs', i)));
  errors.push(...oneOf(type, types, 'spec.type'));
  for (const [i, port] of ports.entries())
    if (type === 'ClusterIP' && port.nodePort)
      errors.push(forbiddenField(`${at('spec.ports', i)}.nodePort`, "may not be used when `type` is 'ClusterIP'"));
  errors.push(...duplicatePortErrors(spec), ...familyErrors(spec));
  for (const [i, range] of (spec.loadBalancerSourceRanges ?? []).entries())
    errors.push(...cidr(range.trim(), at('spec.loadBalancerSourceRanges', i)));
  return [...errors, ...trafficErrors(spec)];
}

function typeErrors(spec: Spec, headless: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.type === 'LoadBalancer')
    for (const [i, { port }] of (spec.ports ?? []).entries())
      if (port === kubeletPort)
        errors.push(
          invalidValue(
            `${at('spec.ports', i)}.port`,
            port,
            `may not expose port ${kubeletPort} externally since it is used by kubelet`,
          ),
        );
  if (headless && (spec.type === 'LoadBalancer' || spec.type === 'NodePort'))
    errors.push(invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`));
  if (spec.type === 'ExternalName') {
    if (spec.clusterIPs?.length || spec.clusterIP)
      errors.push(forbiddenField('spec.clusterIPs', 'may not be set for ExternalName services'));
    const name = spec.externalName?.replace(/\.$/, '');
    errors.push(...named(name, 'spec.externalName', dns1123SubdomainErrors));
  }
  return errors;
}

function portErrors(port: ServicePort, mustHaveName: boolean, names: Set<string>, here: string): FieldError[] {
  const errors: FieldError[] = [];
  if (mustHaveName && !port.name) errors.push(required(`${here}.name`));
  else if (port.name) {
    errors.push(...eachInvalid(`${here}.name`, port.name, dns1123LabelErrors(port.name)));
    if (names.has(port.name)) errors.push(duplicate(`${here}.name`, port.name));
    names.add(port.name);
  }
  errors.push(
    ...portNumber(port.port, `${here}.port`),
    ...oneOf(port.protocol, ['SCTP', 'TCP', 'UDP'], `${here}.protocol`),
    ...portNumberOrName(port.targetPort ?? port.port, `${here}.targetPort`),
  );
  if (port.appProtocol)
    errors.push(...eachInvalid(`${here}.appProtocol`, port.appProtocol, qualifiedNameErrors(port.appProtocol)));
  return errors;
}

function duplicatePortErrors({ ports = [] }: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const nodePorts = new Set<string>();
  const seen = new Set<string>();
  for (const [i, { port, protocol, nodePort }] of ports.entries()) {
    const key = `${protocol}/${port}`;
    if (seen.has(key))
      errors.push(
        duplicate(at('spec.ports', i), {
          Name: '',
          Protocol: protocol,
          AppProtocol: null,
          Port: port,
          TargetPort: 0,
          NodePort: 0,
        }),
      );
    seen.add(key);
    if (!nodePort) continue;
    if (nodePorts.has(`${protocol}/${nodePort}`)) errors.push(duplicate(`${at('spec.ports', i)}.nodePort`, nodePort));
    nodePorts.add(`${protocol}/${nodePort}`);
  }
  return errors;
}

function affinityErrors({ sessionAffinity, sessionAffinityConfig }: Spec): FieldError[] {
  const errors = oneOf(sessionAffinity, ['ClientIP', 'None'], 'spec.sessionAffinity');
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds;
  const field = 'spec.sessionAffinityConfig';
  if (sessionAffinity === 'ClientIP') {
    if (seconds === undefined || seconds === null)
      errors.push(required(`${field}.clientIP.timeoutSeconds`, 'when session affinity type is ClientIP'));
    else if (seconds <= 0 || seconds > maxAffinitySeconds)
      errors.push(
        invalidValue(
          `${field}.clientIP.timeoutSeconds`,
          seconds,
          `must be greater than 0 and less than ${maxAffinitySeconds}`,
        ),
      );
  } else if (sessionAffinity === 'None' && sessionAffinityConfig)
    errors.push(forbiddenField(field, 'must not be set when session affinity is None'));
  return errors;
}

function externalIpErrors(ip: string, field: string): FieldError[] {
  const errors = ipAddress(ip, field);
  if (errors.length) return errors;
  const problems: [RegExp, string][] = [
    [/^(0\.0\.0\.0|::)$/, `may not be unspecified (${isIP(ip) === 6 ? '::' : '0.0.0.0'})`],
    [/^(127\.|::1$)/, 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    [/^(169\.254\.|fe[89ab])/i, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
    [/^(224\.0\.0\.|ff02:)/i, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
  ];
  return problems.flatMap(([pattern, message]) => (pattern.test(ip) ? [invalidValue(field, ip, message)] : []));
}

function familyErrors({ ipFamilies = [], ipFamilyPolicy, type }: Spec): FieldError[] {
  if (type === 'ExternalName')
    return ipFamilies.length ? [forbiddenField('spec.ipFamilies', 'may not be set for ExternalName services')] : [];
  const errors = optionalOneOf(
    ipFamilyPolicy,
    ['PreferDualStack', 'RequireDualStack', 'SingleStack'],
    'spec.ipFamilyPolicy',
  );
  for (const [i, family] of ipFamilies.entries()) {
    errors.push(...optionalOneOf(family, ['IPv4', 'IPv6'], at('spec.ipFamilies', i)));
    if (ipFamilies.indexOf(family) < i) errors.push(duplicate(at('spec.ipFamilies', i), family));
  }
  return errors;
}

function trafficErrors(spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const external =
    spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.type === 'ClusterIP' && spec.externalIPs?.length);
  const { externalTrafficPolicy, healthCheckNodePort, internalTrafficPolicy } = spec;
  if (!external) {
    if (externalTrafficPolicy)
      errors.push(
        invalidValue(
          'spec.externalTrafficPolicy',
          externalTrafficPolicy,
          'may only be set for externally-accessible services',
        ),
      );
  } else if (!externalTrafficPolicy) {
    if (spec.type !== 'ClusterIP') errors.push(required('spec.externalTrafficPolicy'));
  } else if (!['Cluster', 'Local'].includes(externalTrafficPolicy))
    errors.push(unsupported('spec.externalTrafficPolicy', externalTrafficPolicy, ['Cluster', 'Local']));
  if (healthCheckNodePort && !(spec.type === 'LoadBalancer' && externalTrafficPolicy === 'Local'))
    errors.push(
      invalidValue(
        'spec.healthCheckNodePort',
        healthCheckNodePort,
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ),
    );
  if (internalTrafficPolicy)
    errors.push(...optionalOneOf(internalTrafficPolicy, ['Cluster', 'Local'], 'spec.internalTrafficPolicy'));
  return errors;
}

export function serviceUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const [next, before] = [(object as Service).spec ?? {}, (old as Service).spec ?? {}];
  const stays = next.type !== 'ExternalName' && before.type !== 'ExternalName';
  if (stays && before.clusterIP && next.clusterIP !== before.clusterIP)
    errors.push(
      invalidValue('spec.clusterIPs[0]', next.clusterIPs ?? [next.clusterIP ?? ''], 'may not change once set'),
    );
  if (stays && before.ipFamilies?.[0] && next.ipFamilies?.[0] && next.ipFamilies[0] !== before.ipFamilies[0])
    errors.push(invalidValue('spec.ipFamilies[0]', next.ipFamilies, 'may not change once set'));
  return [...errors, ...serviceErrors(object)];
}
