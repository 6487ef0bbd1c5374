/** The checks of the Pod Security Standards: what of a pod the baseline and the restricted level forbid, in upstream's words. */
import type { Container, Pod, PodSpec } from '../../../../../machinery/api/types.ts';

export interface Violation {
  reason: string;
  detail: string;
}

export interface Check {
  id: string;
  level: 'baseline' | 'restricted';
  /** Minor version from which on it applies. */
  since: number;
  /** Checks of the baseline that this one replaces on the restricted level. */
  overrides?: string[];
  check(pod: Pod): Violation | undefined;
}

type Named = Pick<
  Container,
  'name' | 'securityContext' | 'ports' | 'livenessProbe' | 'readinessProbe' | 'startupProbe' | 'lifecycle'
>;

const specOf = (pod: Pod): PodSpec => pod.spec ?? { containers: [] };

function containersOf(pod: Pod): Named[] {
  const spec = specOf(pod);
  return [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...((spec.ephemeralContainers ?? []) as Named[])];
}

export const quoted = (names: string[]): string => names.map((name) => JSON.stringify(name)).join(', ');
export const plural = (one: string, many: string, count: number): string => (count === 1 ? one : many);
const theContainers = (names: string[]): string =>
  `${plural('container', 'containers', names.length)} ${quoted(names)}`;
const namesWhere = (pod: Pod, bad: (container: Named) => boolean): string[] =>
  containersOf(pod)
    .filter(bad)
    .map(({ name }) => name);
const unique = (values: string[]): string[] => [...new Set(values)].sort();

/** `pod and container "x"`, or undefined when nobody is to blame. */
function setters(pod: boolean, names: string[]): string | undefined {
  const who = [...(pod ? ['pod'] : []), ...(names.length ? [theContainers(names)] : [])];
  return who.length ? who.join(' and ') : undefined;
}

const isWindows = (pod: Pod): boolean => specOf(pod).os?.name === 'windows';

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

/** Capabilities added beyond `allowed`, with the containers that add them. */
function addedCapabilities(pod: Pod, allowed: (name: string) => boolean): { who: string[]; what: string[] } {
  const beyond = ({ securityContext }: Named) =>
    (securityContext?.capabilities?.add ?? []).filter((name) => !allowed(name));
  const who = containersOf(pod).filter((container) => beyond(container).length);
  return { who: who.map(({ name }) => name), what: unique(who.flatMap(beyond)) };
}

const mustNotInclude = ({ who, what }: { who: string[]; what: string[] }): string =>
  `${theContainers(who)} must not include ${quoted(what)} in securityContext.capabilities.add`;

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

const allowedVolumes = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);

export const restrictedChecks: Check[] = [
  {
    id: 'allowPrivilegeEscalation',
    level: 'restricted',
    since: 8,
    check(pod) {
      if (isWindows(pod)) return undefined;
      const names = namesWhere(pod, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false);
      return names.length
        ? {
            reason: 'allowPrivilegeEscalation != false',
            detail: `${theContainers(names)} must set securityContext.allowPrivilegeEscalation=false`,
          }
        : undefined;
    },
  },
  {
    id: 'capabilities_restricted',
    level: 'restricted',
    since: 22,
    overrides: ['capabilities_baseline'],
    check(pod) {
      if (isWindows(pod)) return undefined;
      const keeps = namesWhere(pod, ({ securityContext }) => !securityContext?.capabilities?.drop?.includes('ALL'));
      const added = addedCapabilities(pod, (name) => name === 'NET_BIND_SERVICE');
      const details = [
        ...(keeps.length ? [`${theContainers(keeps)} must set securityContext.capabilities.drop=["ALL"]`] : []),
        ...(added.who.length ? [mustNotInclude(added)] : []),
      ];
      return details.length ? { reason: 'unrestricted capabilities', detail: details.join('; ') } : undefined;
    },
  },
  {
    id: 'restrictedVolumes',
    level: 'restricted',
    since: 0,
    overrides: ['hostPathVolumes'],
    check(pod) {
      const bad = (specOf(pod).volumes ?? []).flatMap((volume) => {
        const type =
          Object.keys(volume).find((key) => key !== 'name' && volume[key as keyof typeof volume]) ?? 'unknown';
        return allowedVolumes.has(type) ? [] : [{ name: volume.name, type }];
      });
      if (!bad.length) return undefined;
      const types = unique(bad.map(({ type }) => type));
      return {
        reason: 'restricted volume types',
        detail: `${plural('volume', 'volumes', bad.length)} ${quoted(bad.map(({ name }) => name))} ${plural('uses', 'use', bad.length)} restricted volume ${plural('type', 'types', types.length)} ${quoted(types)}`,
      };
    },
  },
  {
    id: 'runAsNonRoot',
    level: 'restricted',
    since: 0,
    check(pod) {
      const podValue = specOf(pod).securityContext?.runAsNonRoot;
      const explicit = namesWhere(pod, ({ securityContext }) => securityContext?.runAsNonRoot === false);
      const who = setters(podValue === false, explicit);
      // A pod that says so makes up for containers that say nothing.
      const implicit =
        podValue === true ? [] : namesWhere(pod, ({ securityContext }) => securityContext?.runAsNonRoot === undefined);
      if (who) {
        const verb = `${who} must not set securityContext.runAsNonRoot=false`;
        return { reason: 'runAsNonRoot != true', detail: verb };
      }
      return implicit.length
        ? {
            reason: 'runAsNonRoot != true',
            detail: `pod or ${theContainers(implicit)} must set securityContext.runAsNonRoot=true`,
          }
        : undefined;
    },
  },
  {
    id: 'runAsUser',
    level: 'restricted',
    since: 23,
    check(pod) {
      const names = namesWhere(pod, ({ securityContext }) => securityContext?.runAsUser === 0);
      const who = setters(specOf(pod).securityContext?.runAsUser === 0, names);
      return who ? { reason: 'runAsUser=0', detail: `${who} must not set runAsUser=0` } : undefined;
    },
  },
  {
    id: 'seccompProfile_restricted',
    level: 'restricted',
    since: 19,
    overrides: ['seccompProfile_baseline'],
    check(pod) {
      if (isWindows(pod)) return undefined;
      const isGood = (type: string | undefined) => type === 'RuntimeDefault' || type === 'Localhost';
      const podType = specOf(pod).securityContext?.seccompProfile?.type;
      const typeOf = ({ securityContext }: Named) => securityContext?.seccompProfile?.type;
      const explicit = namesWhere(pod, (container) => typeOf(container) !== undefined && !isGood(typeOf(container)));
      const who = setters(podType !== undefined && !isGood(podType), explicit);
      if (who) {
        const types = unique(
          [podType, ...containersOf(pod).map(typeOf)].filter(
            (type): type is string => type !== undefined && !isGood(type),
          ),
        );
        return {
          reason: 'seccompProfile',
          detail: `${who} must not set securityContext.seccompProfile.type to ${quoted(types)}`,
        };
      }
      const implicit = isGood(podType) ? [] : namesWhere(pod, (container) => typeOf(container) === undefined);
      return implicit.length
        ? {
            reason: 'seccompProfile',
            detail: `pod or ${theContainers(implicit)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
          }
        : undefined;
    },
  },
];
