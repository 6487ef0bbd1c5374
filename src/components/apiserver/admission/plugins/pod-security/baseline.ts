/** What the baseline level forbids, in upstream's words: known ways out of a container. */
import type { Container } from '../../../../../machinery/api/types.ts';
import {
  addedCapabilities,
  type Check,
  containersOf,
  mustNotInclude,
  type Named,
  namesWhere,
  plural,
  quoted,
  setters,
  specOf,
  theContainers,
  unique,
} from './wording.ts';

const defaultCapabilities = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/';
const safeSysctls = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);
const seLinuxTypes = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t']);

export const baselineChecks: Check[] = [
  {
    id: 'appArmorProfile',
    level: 'baseline',
    since: 0,
    check(pod) {
      const isBad = (type: string | undefined) =>
        type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost';
      const bad = Object.entries(pod.metadata?.annotations ?? {})
        .filter(
          ([key, value]) =>
            key.startsWith(appArmorPrefix) &&
            value !== '' &&
            value !== 'runtime/default' &&
            !value.startsWith('localhost/'),
        )
        .map(([key, value]) => `${key}=${JSON.stringify(value)}`);
      const podType = specOf(pod).securityContext?.appArmorProfile?.type;
      const names = namesWhere(pod, ({ securityContext }) => isBad(securityContext?.appArmorProfile?.type));
      const who = setters(isBad(podType), names);
      const types = unique(
        [podType, ...containersOf(pod).map(({ securityContext }) => securityContext?.appArmorProfile?.type)].filter(
          (type): type is string => isBad(type),
        ),
      );
      const details = [
        ...(who ? [`${who} must not set AppArmor profile type to ${quoted(types)}`] : []),
        ...bad.sort(),
      ];
      return details.length
        ? {
            reason: plural('forbidden AppArmor profile', 'forbidden AppArmor profiles', details.length),
            detail: details.join(', '),
          }
        : undefined;
    },
  },
  {
    id: 'capabilities_baseline',
    level: 'baseline',
    since: 0,
    check(pod) {
      const added = addedCapabilities(pod, (name) => defaultCapabilities.has(name));
      return added.who.length ? { reason: 'non-default capabilities', detail: mustNotInclude(added) } : undefined;
    },
  },
  {
    id: 'hostNamespaces',
    level: 'baseline',
    since: 0,
    check(pod) {
      const spec = specOf(pod);
      const set = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((name) => spec[name]);
      return set.length
        ? { reason: 'host namespaces', detail: set.map((name) => `${name}=true`).join(', ') }
        : undefined;
    },
  },
  {
    id: 'hostPathVolumes',
    level: 'baseline',
    since: 0,
    check(pod) {
      const names = (specOf(pod).volumes ?? []).filter(({ hostPath }) => hostPath).map(({ name }) => name);
      return names.length
        ? { reason: 'hostPath volumes', detail: `${plural('volume', 'volumes', names.length)} ${quoted(names)}` }
        : undefined;
    },
  },
  {
    id: 'hostPorts',
    level: 'baseline',
    since: 0,
    check(pod) {
      const bad = containersOf(pod).filter(({ ports }) => ports?.some(({ hostPort }) => hostPort));
      if (!bad.length) return undefined;
      const ports = [
        ...new Set(bad.flatMap((container) => (container.ports ?? []).flatMap(({ hostPort }) => hostPort || []))),
      ].sort((a, b) => a - b);
      const uses = plural('uses', 'use', bad.length);
      return {
        reason: 'hostPort',
        detail: `${theContainers(bad.map(({ name }) => name))} ${uses} ${plural('hostPort', 'hostPorts', ports.length)} ${ports.join(', ')}`,
      };
    },
  },
  {
    id: 'hostProbesAndHostLifecycle',
    level: 'baseline',
    since: 34,
    check(pod) {
      const hostsOf = ({ livenessProbe, readinessProbe, startupProbe, lifecycle }: Named) =>
        [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop].flatMap((handler) =>
          [handler?.httpGet?.host, handler?.tcpSocket?.host].filter((host): host is string => Boolean(host)),
        );
      const bad = containersOf(pod).filter((container) => hostsOf(container).length);
      if (!bad.length) return undefined;
      const hosts = unique(bad.flatMap(hostsOf));
      const verb = plural('uses', 'use', bad.length);
      return {
        reason: 'probe or lifecycle host',
        detail: `${theContainers(bad.map(({ name }) => name))} ${verb} probe or lifecycle ${plural('host', 'hosts', hosts.length)} ${quoted(hosts)}`,
      };
    },
  },
  {
    id: 'privileged',
    level: 'baseline',
    since: 0,
    check(pod) {
      const names = namesWhere(pod, ({ securityContext }) => securityContext?.privileged === true);
      return names.length
        ? { reason: 'privileged', detail: `${theContainers(names)} must not set securityContext.privileged=true` }
        : undefined;
    },
  },
  {
    id: 'procMount',
    level: 'baseline',
    since: 0,
    check(pod) {
      const isBad = ({ securityContext }: Named) =>
        securityContext?.procMount !== undefined && securityContext.procMount !== 'Default';
      const names = namesWhere(pod, isBad);
      const mounts = unique(
        containersOf(pod)
          .filter(isBad)
          .map(({ securityContext }) => securityContext?.procMount ?? ''),
      );
      return names.length
        ? {
            reason: 'procMount',
            detail: `${theContainers(names)} must not set securityContext.procMount to ${quoted(mounts)}`,
          }
        : undefined;
    },
  },
  {
    id: 'seLinuxOptions',
    level: 'baseline',
    since: 0,
    check(pod) {
      type Options = NonNullable<NonNullable<Container['securityContext']>['seLinuxOptions']> | undefined;
      const isBad = (options: Options) =>
        Boolean(options && (!seLinuxTypes.has(options.type ?? '') || options.user || options.role));
      const podOptions = specOf(pod).securityContext?.seLinuxOptions;
      const all: Options[] = [
        podOptions,
        ...containersOf(pod).map(({ securityContext }) => securityContext?.seLinuxOptions),
      ];
      const who = setters(
        isBad(podOptions),
        namesWhere(pod, ({ securityContext }) => isBad(securityContext?.seLinuxOptions)),
      );
      if (!who) return undefined;
      const types = unique(
        all.flatMap((options) => (options && !seLinuxTypes.has(options.type ?? '') ? [options.type ?? ''] : [])),
      );
      const faults = [
        ...(types.length ? [`${plural('type', 'types', types.length)} ${quoted(types)}`] : []),
        ...(all.some((options) => options?.user) ? ['user may not be set'] : []),
        ...(all.some((options) => options?.role) ? ['role may not be set'] : []),
      ];
      return {
        reason: 'seLinuxOptions',
        detail: `${who} set forbidden securityContext.seLinuxOptions: ${faults.join('; ')}`,
      };
    },
  },
  {
    id: 'seccompProfile_baseline',
    level: 'baseline',
    since: 19,
    check(pod) {
      const isBad = (type: string | undefined) =>
        type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost';
      const podType = specOf(pod).securityContext?.seccompProfile?.type;
      const names = namesWhere(pod, ({ securityContext }) => isBad(securityContext?.seccompProfile?.type));
      const who = setters(isBad(podType), names);
      if (!who) return undefined;
      const types = unique(
        [podType, ...containersOf(pod).map(({ securityContext }) => securityContext?.seccompProfile?.type)].filter(
          (type): type is string => isBad(type),
        ),
      );
      return {
        reason: 'seccompProfile',
        detail: `${who} must not set securityContext.seccompProfile.type to ${quoted(types)}`,
      };
    },
  },
  {
    id: 'sysctls',
    level: 'baseline',
    since: 0,
    check(pod) {
      const names = (specOf(pod).securityContext?.sysctls ?? [])
        .map(({ name }) => name)
        .filter((name) => !safeSysctls.has(name));
      return names.length ? { reason: 'forbidden sysctls', detail: names.join(', ') } : undefined;
    },
  },
  {
    id: 'windowsHostProcess',
    level: 'baseline',
    since: 0,
    check(pod) {
      const names = namesWhere(pod, ({ securityContext }) => securityContext?.windowsOptions?.hostProcess === true);
      const who = setters(specOf(pod).securityContext?.windowsOptions?.hostProcess === true, names);
      return who
        ? { reason: 'hostProcess', detail: `${who} must not set securityContext.windowsOptions.hostProcess=true` }
        : undefined;
    },
  },
];
