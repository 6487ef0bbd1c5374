/** CustomResourceDefinitions when they are written: stored versions, and the finalizer that empties them first. */
import { isDeepStrictEqual } from 'node:util';
import { formatTime } from '../../../machinery/api/time.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { type Strategy, section } from '../strategies/strategy.ts';
import { rulesNotEvaluated } from './cel-rules.ts';
import { withCondition } from './conditions.ts';
import { asDefinition, storageVersion } from './definition.ts';

export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

/** Every version that objects have been stored in is remembered in the status. */
function rememberStorage(object: UnknownObject, before: string[]): void {
  const version = storageVersion(asDefinition(object));
  const status = { ...section(object, 'status') };
  status['storedVersions'] = !version || before.includes(version) ? before : [...before, version];
  object['status'] = status;
}

/** What of a definition is accepted and has no effect. */
function tellLimits(object: UnknownObject, warn: (text: string) => void): void {
  const { spec } = asDefinition(object);
  if (spec.conversion?.strategy === 'Webhook' && spec.versions?.length > 1)
    warn(
      'spec.conversion.strategy: conversion webhooks are not called: objects are served in all versions as they are',
    );
  for (const [index, { schema }] of (spec.versions ?? []).entries()) {
    const path = `spec.versions[${index}].schema.openAPIV3Schema`;
    for (const text of rulesNotEvaluated(schema?.openAPIV3Schema ?? {}, path)) warn(text);
  }
}

export const definitionStrategy: Strategy = {
  generation: true,
  prepareForCreate(object, { warn }) {
    tellLimits(object, warn);
    object['status'] = { conditions: null, acceptedNames: { plural: '', kind: '' }, storedVersions: null };
    rememberStorage(object, []);
  },
  prepareForUpdate(next, old, { warn }) {
    if (!isDeepStrictEqual(next['spec'], old['spec'])) tellLimits(next, warn);
    rememberStorage(next, asDefinition(old).status?.storedVersions ?? []);
  },
  mayGo: ({ metadata = {} }) => metadata.deletionTimestamp !== undefined && !metadata.finalizers?.length,
  markDeleted(object) {
    const metadata = object.metadata ?? {};
    metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), cleanupFinalizer])];
    const status = section(object, 'status');
    status['conditions'] = withCondition(
      asDefinition(object).status?.conditions ?? [],
      {
        type: 'Terminating',
        status: 'True',
        reason: 'InstanceDeletionPending',
        message: `CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon`,
      },
      new Date(),
    );
    object.metadata = {
      ...metadata,
      deletionTimestamp: metadata.deletionTimestamp ?? (formatTime(new Date()) as never),
    };
  },
};
