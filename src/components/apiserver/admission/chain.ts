/** The admission plugins in upstream's order: all mutating ones, then all validating ones. */
import { createEscalationCheck } from '../authorization/escalation.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../types.ts';
import type { AdmissionDeps, PluginFactory } from './plugin.ts';
import { alwaysAdmit, alwaysDeny } from './plugins/always.ts';
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from './plugins/certificates.ts';
import { defaultTolerationSeconds, type TolerationSecondsOptions } from './plugins/default-toleration-seconds.ts';
import { limitRanger } from './plugins/limit-ranger.ts';
import { namespaceAutoProvision, namespaceExists } from './plugins/namespace-existence.ts';
import { namespaceLifecycle } from './plugins/namespace-lifecycle.ts';
import { nodeRestriction } from './plugins/node-restriction.ts';
import { ownerReferencesPermissionEnforcement } from './plugins/owner-references.ts';
import {
  limitPodHardAntiAffinityTopology,
  podNodeSelector,
  podTolerationRestriction,
} from './plugins/pod-placement.ts';
import { podSecurity } from './plugins/pod-security/pod-security.ts';
import { priority } from './plugins/priority.ts';
import { resourceQuota } from './plugins/resource-quota.ts';
import { serviceAccount } from './plugins/service-account.ts';
import {
  alwaysPullImages,
  defaultIngressClass,
  denyServiceExternalIPs,
  extendedResourceToleration,
  podTopologyLabels,
  runtimeClass,
} from './plugins/small-defaults.ts';
import { defaultStorageClass, persistentVolumeClaimResize, storageObjectInUseProtection } from './plugins/storage.ts';
import { taintNodesByCondition } from './plugins/taint-nodes.ts';
import { validatingPolicies } from './policies/validating-policies.ts';
import { mutatingWebhooks, validatingWebhooks } from './webhooks/webhooks.ts';

export type { AdmissionDeps } from './plugin.ts';

export interface AdmissionOptions extends TolerationSecondsOptions {
  /** `--enable-admission-plugins`, added to the ones that are on by default. */
  enable: string[];
  /** `--disable-admission-plugins`. */
  disable: string[];
  /** Plugins that others bring (webhooks, policies), by their names in the order below; these are on when given. */
  extra?: AdmissionPlugin[];
}

export interface AdmissionChain {
  admit(attributes: AdmissionAttributes): Promise<void>;
  validate(attributes: AdmissionAttributes): Promise<void>;
}

/** Upstream's order. A name without a factory is known but brought by others (`extra`) or not built: enabling it alone does nothing. */
const ordered: [name: string, onByDefault: boolean, factory?: PluginFactory<AdmissionOptions>][] = [
  ['AlwaysAdmit', false, alwaysAdmit],
  ['NamespaceAutoProvision', false, namespaceAutoProvision],
  ['NamespaceLifecycle', true, namespaceLifecycle],
  ['NamespaceExists', false, namespaceExists],
  ['LimitPodHardAntiAffinityTopology', false, limitPodHardAntiAffinityTopology],
  ['LimitRanger', true, limitRanger],
  ['ServiceAccount', true, serviceAccount],
  ['NodeRestriction', false, nodeRestriction],
  ['TaintNodesByCondition', true, taintNodesByCondition],
  ['AlwaysPullImages', false, alwaysPullImages],
  ['ImagePolicyWebhook', false],
  ['PodSecurity', true, podSecurity],
  ['PodNodeSelector', false, podNodeSelector],
  ['Priority', true, priority],
  ['DefaultTolerationSeconds', true, defaultTolerationSeconds],
  ['PodTolerationRestriction', false, podTolerationRestriction],
  ['EventRateLimit', false],
  ['ExtendedResourceToleration', false, extendedResourceToleration],
  ['DefaultStorageClass', true, defaultStorageClass],
  ['StorageObjectInUseProtection', true, storageObjectInUseProtection],
  ['OwnerReferencesPermissionEnforcement', false, ownerReferencesPermissionEnforcement],
  ['PersistentVolumeClaimResize', true, persistentVolumeClaimResize],
  ['RuntimeClass', true, runtimeClass],
  ['CertificateApproval', true, certificateApproval],
  ['CertificateSigning', true, certificateSigning],
  ['ClusterTrustBundleAttest', true],
  ['CertificateSubjectRestriction', true, certificateSubjectRestriction],
  ['DefaultIngressClass', true, defaultIngressClass],
  ['DenyServiceExternalIPs', false, denyServiceExternalIPs],
  ['PodTopologyLabels', true, podTopologyLabels],
  ['MutatingAdmissionPolicy', true],
  ['MutatingAdmissionWebhook', true, mutatingWebhooks],
  ['ValidatingAdmissionPolicy', true, validatingPolicies],
  ['ValidatingAdmissionWebhook', true, validatingWebhooks],
  ['ResourceQuota', true, resourceQuota],
  ['AlwaysDeny', false, alwaysDeny],
];

export const admissionPluginNames = ordered.map(([name]) => name);

/** Throws for a plugin name that does not exist. */
export function createAdmissionChain(options: AdmissionOptions, deps: AdmissionDeps): AdmissionChain {
  for (const name of [...options.enable, ...options.disable])
    if (!admissionPluginNames.includes(name)) throw new Error(`enable-admission-plugins plugin "${name}" is unknown`);
  const plugins = ordered.flatMap(([name, onByDefault, factory]) => {
    if (options.disable.includes(name)) return [];
    const brought = (options.extra ?? []).filter((plugin) => plugin.name === name);
    if (brought.length) return brought;
    return factory && (onByDefault || options.enable.includes(name)) ? [factory(deps, options)] : [];
  });
  if (deps.roles) plugins.push(createEscalationCheck(deps.roles, deps.authorizer));
  const mutating = plugins.filter(({ admit }) => admit);
  const validating = plugins.filter(({ validate }) => validate);
  return {
    async admit(attributes) {
      const all = async () => {
        for (const plugin of mutating) if (plugin.handles(attributes.operation)) await plugin.admit?.(attributes);
      };
      await all();
      // What webhooks added gets what the server itself adds, once.
      if (attributes.changedByWebhook) await all();
    },
    async validate(attributes) {
      for (const plugin of validating) if (plugin.handles(attributes.operation)) await plugin.validate?.(attributes);
    },
  };
}
