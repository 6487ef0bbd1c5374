/** Plugins, all off by default, by which a cluster or a namespace says where its pods may run. */
import { parseSelector, SelectorError } from '../../../../machinery/api/selectors.ts';
import type { Namespace, Pod, Toleration } from '../../../../machinery/api/types.ts';
import { type AdmissionDeps, findObject, onOperations, type PluginFactory, podOf, refuse } from '../plugin.ts';

const namespaces = { group: '', resource: 'namespaces' };
const selectorAnnotation = 'scheduler.alpha.kubernetes.io/node-selector';
const defaultTolerations = 'scheduler.alpha.kubernetes.io/defaultTolerations';
const tolerationsWhitelist = 'scheduler.alpha.kubernetes.io/tolerationsWhitelist';

async function annotationOf(deps: AdmissionDeps, namespace: string, name: string): Promise<string | undefined> {
  const found = (await findObject(deps, namespaces, '', namespace)) as Namespace | undefined;
  return found?.metadata?.annotations?.[name];
}

/** The namespace's node selector is added to its pods'; a pod that asks for another value is refused. */
export const podNodeSelector: PluginFactory = (deps) => ({
  name: 'PodNodeSelector',
  handles: onOperations('CREATE'),
  async admit(attributes) {
    const spec = podOf(attributes)?.spec;
    const text = spec ? await annotationOf(deps, attributes.namespace, selectorAnnotation) : undefined;
    if (!spec || !text) return;
    const wanted: Record<string, string> = {};
    try {
      for (const { key, values } of parseSelector(text)) wanted[key] = values[0] ?? '';
    } catch (error) {
      if (error instanceof SelectorError) throw refuse(attributes, error.message);
      throw error;
    }
    const own = spec.nodeSelector ?? {};
    if (Object.entries(wanted).some(([key, value]) => key in own && own[key] !== value))
      throw refuse(attributes, 'pod node label selector conflicts with its namespace node label selector');
    spec.nodeSelector = { ...own, ...wanted };
  },
});

/** Required anti-affinity may only spread over hosts: anything wider lets one pod keep others out of a whole zone. */
export const limitPodHardAntiAffinityTopology: PluginFactory = () => ({
  name: 'LimitPodHardAntiAffinityTopology',
  handles: onOperations('CREATE', 'UPDATE'),
  validate(attributes) {
    const terms = podOf(attributes)?.spec?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    const wide = terms?.find(({ topologyKey }) => topologyKey !== 'kubernetes.io/hostname');
    if (wide)
      throw refuse(
        attributes,
        `affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${wide.topologyKey} but only key kubernetes.io/hostname is allowed`,
      );
  },
});

/** The namespace gives its pods tolerations, and says which they may have at all. */
export const podTolerationRestriction: PluginFactory = (deps) => {
  const listOf = async (namespace: string, name: string): Promise<Toleration[] | undefined> => {
    const text = await annotationOf(deps, namespace, name);
    return text ? (JSON.parse(text) as Toleration[]) : undefined;
  };
  return {
    name: 'PodTolerationRestriction',
    handles: onOperations('CREATE', 'UPDATE'),
    async admit(attributes) {
      const spec = podOf(attributes)?.spec;
      if (!spec || attributes.operation !== 'CREATE') return;
      const given = await listOf(attributes.namespace, defaultTolerations);
      if (given) spec.tolerations = merged(spec.tolerations ?? [], given);
    },
    async validate(attributes) {
      const pod: Pod | undefined = podOf(attributes);
      const allowed = pod ? await listOf(attributes.namespace, tolerationsWhitelist) : undefined;
      if (!pod || !allowed?.length) return;
      if ((pod.spec?.tolerations ?? []).some((own) => !allowed.some((wide) => covers(wide, own))))
        throw refuse(
          attributes,
          'pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist',
        );
    },
  };
};

const merged = (own: Toleration[], more: Toleration[]): Toleration[] => [
  ...own,
  ...more.filter((wanted) => !own.some((toleration) => covers(toleration, wanted))),
];

/** Whatever `narrow` tolerates, `wide` tolerates too. */
function covers(wide: Toleration, narrow: Toleration): boolean {
  if (wide.key && wide.key !== narrow.key) return false;
  if (wide.effect && wide.effect !== narrow.effect) return false;
  if (wide.operator === 'Exists') return true;
  return (wide.operator ?? 'Equal') === (narrow.operator ?? 'Equal') && (wide.value ?? '') === (narrow.value ?? '');
}
