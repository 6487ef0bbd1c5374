/** Plugins of a few lines each: DefaultIngressClass, RuntimeClass, AlwaysPullImages, DenyServiceExternalIPs, PodTopologyLabels, ExtendedResourceToleration. */
import type { Ingress, Pod, RuntimeClass, Service, UnknownObject } from '../../../../machinery/api/types.ts';
import { findObject, isFor, isMirrorPod, onOperations, type PluginFactory, podOf, refuse } from '../plugin.ts';

export const defaultIngressClass: PluginFactory = ({ cache }) => ({
  name: 'DefaultIngressClass',
  handles: onOperations('CREATE'),
  admit(attributes) {
    if (!isFor(attributes, 'networking.k8s.io', 'ingresses')) return;
    const ingress = attributes.object as Ingress;
    if (
      !ingress.spec ||
      ingress.spec.ingressClassName ||
      ingress.metadata?.annotations?.['kubernetes.io/ingress.class']
    )
      return;
    const age = ({ metadata }: UnknownObject) => metadata?.creationTimestamp ?? '';
    const name = ({ metadata }: UnknownObject) => metadata?.name ?? '';
    const [chosen] = cache
      .list({ group: 'networking.k8s.io', resource: 'ingressclasses' })
      .filter(({ metadata }) => metadata?.annotations?.['ingressclass.kubernetes.io/is-default-class'] === 'true')
      .sort((a, b) => age(b).localeCompare(age(a)) || name(a).localeCompare(name(b)));
    if (chosen) ingress.spec.ingressClassName = name(chosen);
  },
});

export const runtimeClass: PluginFactory = (deps) => {
  const find = async (pod: Pod) =>
    pod.spec?.runtimeClassName
      ? ((await findObject(
          deps,
          { group: 'node.k8s.io', resource: 'runtimeclasses' },
          '',
          pod.spec.runtimeClassName,
        )) as (UnknownObject & RuntimeClass) | undefined)
      : undefined;
  return {
    name: 'RuntimeClass',
    handles: onOperations('CREATE'),
    async admit(attributes) {
      const pod = podOf(attributes);
      if (!pod?.spec?.runtimeClassName) return;
      const found = await find(pod);
      if (!found)
        throw refuse(attributes, `pod rejected: RuntimeClass ${JSON.stringify(pod.spec.runtimeClassName)} not found`);
      const overhead = found.overhead?.podFixed;
      if (overhead && pod.spec.overhead && JSON.stringify(overhead) !== JSON.stringify(pod.spec.overhead))
        throw refuse(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
      if (overhead) pod.spec.overhead = { ...overhead };
      const { nodeSelector, tolerations } = found.scheduling ?? {};
      for (const [key, value] of Object.entries(nodeSelector ?? {})) {
        const own = pod.spec.nodeSelector?.[key];
        if (own !== undefined && own !== value)
          throw refuse(
            attributes,
            `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
          );
      }
      if (nodeSelector) pod.spec.nodeSelector = { ...pod.spec.nodeSelector, ...nodeSelector };
      const missing = (tolerations ?? []).filter(
        (toleration) => !pod.spec?.tolerations?.some((own) => JSON.stringify(own) === JSON.stringify(toleration)),
      );
      if (missing.length) pod.spec.tolerations = [...(pod.spec.tolerations ?? []), ...missing];
    },
    async validate(attributes) {
      const pod = podOf(attributes);
      if (!pod?.spec?.overhead || Object.keys(pod.spec.overhead).length === 0) return;
      if ((await find(pod))?.overhead?.podFixed) return;
      throw refuse(attributes, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
    },
  };
};

export const alwaysPullImages: PluginFactory = () => ({
  name: 'AlwaysPullImages',
  handles: onOperations('CREATE', 'UPDATE'),
  admit(attributes) {
    const spec = podOf(attributes)?.spec;
    for (const container of [
      ...(spec?.initContainers ?? []),
      ...(spec?.containers ?? []),
      ...(spec?.ephemeralContainers ?? []),
    ])
      container.imagePullPolicy = 'Always';
  },
});

export const denyServiceExternalIPs: PluginFactory = () => ({
  name: 'DenyServiceExternalIPs',
  handles: onOperations('CREATE', 'UPDATE'),
  validate(attributes) {
    if (!isFor(attributes, '', 'services')) return;
    const before = (attributes.oldObject as Service | undefined)?.spec?.externalIPs ?? [];
    const added = ((attributes.object as Service).spec?.externalIPs ?? []).some((ip) => !before.includes(ip));
    if (added) throw refuse(attributes, 'Use of external IPs is denied by admission control.');
  },
});

const topologyLabels = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

/** The zone and region of the node become labels of the pods that are bound to it. */
export const podTopologyLabels: PluginFactory = ({ cache }) => ({
  name: 'PodTopologyLabels',
  handles: onOperations('CREATE'),
  admit(attributes) {
    const { object } = attributes;
    if (!object) return;
    const nodeName = isFor(attributes, '', 'pods', 'binding')
      ? (object['target'] as { name?: string } | undefined)?.name
      : podOf(attributes)?.spec?.nodeName;
    const labels = nodeName ? cache.get({ group: '', resource: 'nodes' }, '', nodeName)?.metadata?.labels : undefined;
    if (!labels || isMirrorPod(object as Pod)) return;
    const copied = Object.fromEntries(
      topologyLabels.filter((key) => labels[key]).map((key) => [key, labels[key] ?? '']),
    );
    if (Object.keys(copied).length === 0) return;
    object.metadata = { ...object.metadata, labels: { ...object.metadata?.labels, ...copied } };
  },
});

/** Nodes with special hardware are tainted by its resource name; pods that ask for it tolerate that. */
export const extendedResourceToleration: PluginFactory = () => ({
  name: 'ExtendedResourceToleration',
  handles: onOperations('CREATE', 'UPDATE'),
  admit(attributes) {
    const spec = podOf(attributes)?.spec;
    if (!spec) return;
    const asked = new Set<string>();
    for (const { resources } of [...spec.containers, ...(spec.initContainers ?? [])])
      for (const name of Object.keys(resources?.requests ?? {}))
        if (name.includes('/') && !name.includes('kubernetes.io/')) asked.add(name);
    for (const key of [...asked].sort()) {
      if (spec.tolerations?.some((own) => own.key === key && own.operator === 'Exists')) continue;
      spec.tolerations = [...(spec.tolerations ?? []), { key, operator: 'Exists' }];
    }
  },
});
