/** The conditions with which a namespace that is being deleted tells how far it is, in upstream's words. */
import { withCondition } from '../../../../machinery/api/conditions.ts';
import type { Namespace } from '../../../../machinery/api/types.ts';

/** What one attempt to delete the content came to. */
export interface Outcome {
  /** Group versions that discovery could not read. */
  discoveryFailures: string[];
  deletionErrors: string[];
  remaining: { group: string; resource: string; count: number }[];
  /** Finalizer → how many objects have it. */
  finalizers: Map<string, number>;
}

type NamespaceCondition = NonNullable<NonNullable<Namespace['status']>['conditions']>[number];

export function deletionConditions(outcome: Outcome): Omit<NamespaceCondition, 'lastTransitionTime'>[] {
  const { discoveryFailures, deletionErrors, remaining, finalizers } = outcome;
  const condition = (type: string, bad: [string, string] | undefined, good: [string, string]) => {
    const [reason, message] = bad ?? good;
    return { type, status: bad ? 'True' : 'False', reason, message };
  };
  const counts = remaining.map(({ group, resource, count }) => `${resource}.${group} has ${count} resource instances`);
  const holders = [...finalizers].map(([name, count]) => `${name} in ${count} resource instances`);
  return [
    condition(
      'NamespaceDeletionDiscoveryFailure',
      discoveryFailures.length > 0
        ? [
            'DiscoveryFailed',
            `Discovery failed for some groups, ${discoveryFailures.length} failing: unable to retrieve the complete list of server APIs: ${discoveryFailures.map((name) => `${name}: stale GroupVersion discovery: ${name}`).join(', ')}`,
          ]
        : undefined,
      ['ResourcesDiscovered', 'All resources successfully discovered'],
    ),
    condition('NamespaceDeletionGroupVersionParsingFailure', undefined, [
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ]),
    condition(
      'NamespaceDeletionContentFailure',
      deletionErrors.length > 0
        ? [
            'ContentDeletionFailed',
            `Failed to delete all resource types, ${deletionErrors.length} remaining: ${deletionErrors.join(', ')}`,
          ]
        : undefined,
      ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    ),
    condition(
      'NamespaceContentRemaining',
      counts.length > 0
        ? ['SomeResourcesRemain', `Some resources are remaining: ${counts.sort().join(', ')}`]
        : undefined,
      ['ContentRemoved', 'All content successfully removed'],
    ),
    condition(
      'NamespaceFinalizersRemaining',
      holders.length > 0
        ? [
            'SomeFinalizersRemain',
            `Some content in the namespace has finalizers remaining: ${holders.sort().join(', ')}`,
          ]
        : undefined,
      ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    ),
  ];
}

/** The namespace with these conditions, or undefined when it has them. */
export function withDeletionConditions(namespace: Namespace, outcome: Outcome): Namespace | undefined {
  let conditions = namespace.status?.conditions;
  for (const condition of deletionConditions(outcome))
    conditions = withCondition(conditions, condition as NamespaceCondition);
  if (conditions === namespace.status?.conditions || !conditions) return undefined;
  return { ...namespace, status: { ...namespace.status, conditions } };
}
