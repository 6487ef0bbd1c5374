/** A cluster's entries in a kubeconfig that has others: named after the cluster, and replaced when they are there. */
import { KinitError } from '../errors.ts';
import { buildKubeconfig, type Kubeconfig } from '../kubeconfig/kubeconfig.ts';

export interface MergeOptions {
  /** Of the context and the cluster. */
  name: string;
  /** Replace entries of this name that belong to another cluster. */
  force: boolean;
  /** Whether it becomes the current context. */
  use: boolean;
}

/** The user's entry: every cluster has an administrator. */
export const userNameFor = (name: string): string => `${name}-admin`;

type Named = { name: string };
const replaced = <T extends Named>(list: readonly T[] | undefined, entry: T): T[] =>
  list?.some(({ name }) => name === entry.name)
    ? list.map((one) => (one.name === entry.name ? entry : one))
    : [...(list ?? []), entry];

/** One context of a kubeconfig with its cluster and user, under these names. */
export function renamed(config: Kubeconfig, name: string): Kubeconfig {
  const context = config.contexts.find((one) => one.name === config['current-context'])?.context;
  const cluster = config.clusters.find((one) => one.name === context?.cluster)?.cluster;
  const user = config.users.find((one) => one.name === context?.user)?.user;
  if (!cluster || !user) throw new KinitError('Validation', 'the kubeconfig has no current context to take');
  const empty = buildKubeconfig({ server: cluster.server, caPem: '', clusterName: '', userName: '', user });
  const userName = userNameFor(name);
  return {
    ...empty,
    clusters: [{ name, cluster }],
    contexts: [{ name, context: { cluster: name, user: userName } }],
    'current-context': name,
    users: [{ name: userName, user }],
  };
}

/**
 * @param into what is there; undefined: nothing yet
 * @throws KinitError Validation when another cluster has this name there
 */
export function mergeKubeconfig(into: Kubeconfig | undefined, added: Kubeconfig, options: MergeOptions): Kubeconfig {
  const { name, force, use } = options;
  const single = renamed(added, name);
  const [cluster] = single.clusters;
  const [context] = single.contexts;
  const [user] = single.users;
  if (!cluster || !context || !user) throw new Error('a renamed kubeconfig has one of each');
  const before = into?.clusters.find((one) => one.name === name)?.cluster;
  const isOther =
    before !== undefined && before['certificate-authority-data'] !== cluster.cluster['certificate-authority-data'];
  if (isOther && !force) {
    throw new KinitError('Validation', `the kubeconfig has another cluster "${name}" (${before.server})`, {
      advice: 'give this one another name with --context-name, or replace the other one with --force',
    });
  }
  const kept = into?.contexts.find((one) => one.name === name)?.context;
  return {
    ...(into ?? single),
    clusters: replaced(into?.clusters, cluster),
    contexts: replaced(into?.contexts, { name, context: { ...kept, ...context.context } }),
    users: replaced(into?.users, user),
    'current-context': use || !into?.['current-context'] ? name : into['current-context'],
  };
}
