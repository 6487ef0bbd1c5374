/** Security contexts of pod and container → CRI. */
import type { Container, Pod } from '../../../machinery/api/types.ts';
import type {
  LinuxContainerSecurityContext,
  LinuxSandboxSecurityContext,
  NamespaceOption,
  SecurityProfile,
} from '../cri/types.ts';
import { isHostNetwork } from './containers.ts';

/** Kernel files that a container neither sees nor changes, unless procMount is Unmasked. */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export function namespaceOptions(pod: Pod): NamespaceOption {
  const { hostPID, hostIPC, shareProcessNamespace } = pod.spec ?? {};
  return {
    network: isHostNetwork(pod) ? 'NODE' : 'POD',
    pid: hostPID ? 'NODE' : shareProcessNamespace ? 'POD' : 'CONTAINER',
    ipc: hostIPC ? 'NODE' : 'POD',
  };
}

interface Profile {
  type: string;
  localhostProfile?: string;
}

/** @param seccompRoot where Localhost profiles lie: /var/lib/kubelet/seccomp */
function seccompProfile(profile: Profile | undefined, seccompRoot: string, byDefault: boolean): SecurityProfile {
  if (!profile) return { profileType: byDefault ? 'RuntimeDefault' : 'Unconfined' };
  if (profile.type === 'Localhost')
    return { profileType: 'Localhost', localhostRef: `${seccompRoot}/${profile.localhostProfile ?? ''}` };
  return { profileType: profile.type === 'RuntimeDefault' ? 'RuntimeDefault' : 'Unconfined' };
}

function appArmorProfile(profile: Profile | undefined): { apparmor: SecurityProfile } | undefined {
  if (!profile) return undefined;
  if (profile.type === 'Localhost')
    return { apparmor: { profileType: 'Localhost', localhostRef: profile.localhostProfile ?? '' } };
  return { apparmor: { profileType: profile.type === 'RuntimeDefault' ? 'RuntimeDefault' : 'Unconfined' } };
}

export interface SecuritySettings {
  seccompRoot: string;
  seccompDefault: boolean;
}

export function sandboxSecurity(
  pod: Pod,
  { seccompRoot, seccompDefault }: SecuritySettings,
): LinuxSandboxSecurityContext {
  const context = pod.spec?.securityContext;
  const privileged = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].some(
    ({ securityContext }) => securityContext?.privileged === true,
  );
  const groups = [...(context?.fsGroup === undefined ? [] : [context.fsGroup]), ...(context?.supplementalGroups ?? [])];
  return {
    namespaceOptions: namespaceOptions(pod),
    privileged,
    // The pause process needs nothing that the runtime's profile forbids.
    seccomp: privileged
      ? { profileType: 'Unconfined' }
      : context?.seccompProfile
        ? seccompProfile(context.seccompProfile, seccompRoot, seccompDefault)
        : { profileType: 'RuntimeDefault' },
    ...(context?.runAsUser === undefined ? {} : { runAsUser: { value: context.runAsUser } }),
    // Without a user the runtime takes no group.
    ...(context?.runAsGroup === undefined || context.runAsUser === undefined
      ? {}
      : { runAsGroup: { value: context.runAsGroup } }),
    ...(groups.length ? { supplementalGroups: groups } : {}),
    ...(context?.supplementalGroupsPolicy === 'Strict' ? { supplementalGroupsPolicy: 'Strict' as const } : {}),
    ...(context?.seLinuxOptions ? { selinuxOptions: context.seLinuxOptions } : {}),
  };
}

/** @param imageUser as the image names it: a number, or a name that only the runtime can resolve */
export function containerSecurity(
  pod: Pod,
  container: Container,
  imageUser: { uid?: number; username: string },
  { seccompRoot, seccompDefault }: SecuritySettings,
): LinuxContainerSecurityContext {
  const podContext = pod.spec?.securityContext ?? {};
  const own = container.securityContext ?? {};
  const runAsUser = own.runAsUser ?? podContext.runAsUser;
  const runAsGroup = own.runAsGroup ?? podContext.runAsGroup;
  const groups = [
    ...(podContext.fsGroup === undefined ? [] : [podContext.fsGroup]),
    ...(podContext.supplementalGroups ?? []),
  ];
  const user =
    runAsUser !== undefined
      ? { runAsUser: { value: runAsUser } }
      : imageUser.uid !== undefined
        ? { runAsUser: { value: imageUser.uid } }
        : imageUser.username
          ? { runAsUsername: imageUser.username }
          : {};
  const unmasked = own.procMount === 'Unmasked';
  const selinux = own.seLinuxOptions ?? podContext.seLinuxOptions;
  return {
    namespaceOptions: namespaceOptions(pod),
    privileged: own.privileged === true,
    readonlyRootfs: own.readOnlyRootFilesystem === true,
    noNewPrivs: own.allowPrivilegeEscalation === false,
    maskedPaths: unmasked ? [] : maskedPaths,
    readonlyPaths: unmasked ? [] : readonlyPaths,
    seccomp:
      own.privileged === true
        ? { profileType: 'Unconfined' }
        : seccompProfile(own.seccompProfile ?? podContext.seccompProfile, seccompRoot, seccompDefault),
    ...user,
    ...(runAsGroup === undefined ? {} : { runAsGroup: { value: runAsGroup } }),
    ...(groups.length ? { supplementalGroups: groups } : {}),
    ...(podContext.supplementalGroupsPolicy === 'Strict' ? { supplementalGroupsPolicy: 'Strict' as const } : {}),
    ...(own.capabilities
      ? {
          capabilities: {
            addCapabilities: own.capabilities.add ?? [],
            dropCapabilities: own.capabilities.drop ?? [],
          },
        }
      : {}),
    ...(selinux ? { selinuxOptions: selinux } : {}),
    ...appArmorProfile(own.appArmorProfile ?? podContext.appArmorProfile),
  };
}

/** Why the container may not run as it would: runAsNonRoot is set and it would run as root. */
export function nonRootProblem(
  pod: Pod,
  container: Container,
  imageUser: { uid?: number; username: string },
): string | undefined {
  const own = container.securityContext;
  const podContext = pod.spec?.securityContext;
  if ((own?.runAsNonRoot ?? podContext?.runAsNonRoot) !== true) return undefined;
  const named = `pod: "${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})", container: ${container.name}`;
  const runAsUser = own?.runAsUser ?? podContext?.runAsUser;
  if (runAsUser !== undefined)
    return runAsUser === 0 ? `container's runAsUser breaks non-root policy (${named})` : undefined;
  if (imageUser.username)
    return `container has runAsNonRoot and image has non-numeric user (${imageUser.username}), cannot verify user is non-root (${named})`;
  if (imageUser.uid === undefined || imageUser.uid === 0)
    return `container has runAsNonRoot and image will run as root (${named})`;
  return undefined;
}
