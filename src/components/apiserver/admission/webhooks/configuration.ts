/** Webhook configurations as they are called: all hooks of one sort, in order. */
import type { LabelSelector, UnknownObject } from '../../../../machinery/api/types.ts';
import type { CacheReader, GroupResource } from '../../types.ts';

export interface Rule {
  operations?: string[];
  apiGroups?: string[];
  apiVersions?: string[];
  resources?: string[];
  scope?: string;
}

export interface ServiceReference {
  namespace: string;
  name: string;
  path?: string;
  port?: number;
}

export interface ClientConfig {
  url?: string;
  service?: ServiceReference;
  /** Base64 of PEM. */
  caBundle?: string;
}

export interface Webhook {
  name: string;
  clientConfig: ClientConfig;
  rules?: Rule[];
  failurePolicy?: 'Ignore' | 'Fail';
  matchPolicy?: 'Exact' | 'Equivalent';
  namespaceSelector?: LabelSelector;
  objectSelector?: LabelSelector;
  sideEffects?: string;
  timeoutSeconds?: number;
  admissionReviewVersions?: string[];
  /** Of mutating ones. */
  reinvocationPolicy?: 'Never' | 'IfNeeded';
  matchConditions?: { name: string; expression: string }[];
}

export type Sort = 'mutating' | 'validating';

const resources: Record<Sort, GroupResource> = {
  mutating: { group: 'admissionregistration.k8s.io', resource: 'mutatingwebhookconfigurations' },
  validating: { group: 'admissionregistration.k8s.io', resource: 'validatingwebhookconfigurations' },
};

/** Answers the current hooks, configurations by name, read anew only after a change. */
export function currentWebhooks(cache: CacheReader, sort: Sort): () => readonly Webhook[] {
  let hooks: readonly Webhook[] | undefined;
  let following = false;
  return () => {
    if (!following) {
      following = true;
      cache.onChange(resources[sort], () => {
        hooks = undefined;
      });
    }
    hooks ??= cache.list(resources[sort]).toSorted(byName).flatMap(webhooksOf);
    return hooks;
  };
}

const nameOf = ({ metadata }: UnknownObject): string => metadata?.name ?? '';
const byName = (a: UnknownObject, b: UnknownObject): number => (nameOf(a) < nameOf(b) ? -1 : 1);
const webhooksOf = (configuration: UnknownObject): Webhook[] =>
  (configuration['webhooks'] as Webhook[] | null | undefined) ?? [];
