/** The controllers of nodes, namespaces, service accounts, bootstrap tokens, policies and garbage. */
import type { Controller } from '../framework/controller.ts';
import { bootstrapSigner, tokenCleaner } from './bootstrap-tokens.ts';
import { clusterRoleAggregation } from './cluster-role-aggregation.ts';
import { disruption } from './disruption/disruption-controller.ts';
import { garbageCollector } from './garbage/garbage-collector.ts';
import { namespaceController } from './namespace/namespace-controller.ts';
import { nodeIpam } from './nodes/node-ipam.ts';
import { nodeLifecycle } from './nodes/node-lifecycle.ts';
import { podGarbageCollector } from './nodes/pod-garbage-collector.ts';
import { taintEviction } from './nodes/taint-eviction.ts';
import { nodeTtl } from './nodes/ttl.ts';
import { resourceQuotaController } from './resource-quota.ts';
import { rootCaCertificatePublisher } from './root-ca-certificates.ts';
import { serviceAccountTokens } from './service-account-tokens.ts';
import { serviceAccountController } from './service-accounts.ts';
import { ttlAfterFinished } from './ttl-after-finished.ts';
import { volumeBinder } from './volumes/binder.ts';
import { ephemeralVolumes } from './volumes/ephemeral.ts';
import { claimProtection, volumeProtection } from './volumes/protection.ts';

export const clusterControllers: Controller[] = [
  namespaceController,
  garbageCollector,
  nodeIpam,
  nodeLifecycle,
  taintEviction,
  nodeTtl,
  podGarbageCollector,
  serviceAccountController,
  serviceAccountTokens,
  disruption,
  resourceQuotaController,
  rootCaCertificatePublisher,
  bootstrapSigner,
  tokenCleaner,
  ttlAfterFinished,
  volumeBinder,
  claimProtection,
  volumeProtection,
  ephemeralVolumes,
  clusterRoleAggregation,
];
