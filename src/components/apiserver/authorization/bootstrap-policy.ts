/** The roles and bindings a fresh cluster starts with, created or brought up to date when the server starts. */
import type { CacheReader, LoopbackClient } from '../types.ts';

export interface BootstrapRbacDeps {
  cache: CacheReader;
  loopback: LoopbackClient;
}

/** Idempotent. Leaves objects annotated `rbac.authorization.kubernetes.io/autoupdate: "false"` alone. */
export async function bootstrapRbac(deps: BootstrapRbacDeps): Promise<void> {
  await deps.cache.ready({ group: 'rbac.authorization.k8s.io', resource: 'clusterroles' });
}
