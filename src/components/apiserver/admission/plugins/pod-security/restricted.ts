/** What the restricted level asks for beyond the baseline, in upstream's words. */
import {
  addedCapabilities,
  type Check,
  containersOf,
  isWindows,
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
