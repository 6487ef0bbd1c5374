/** Namespaces go in two steps: a delete makes them Terminating, the namespace controller empties and finalizes them. */
import type { Namespace } from '../../../machinery/api/types.ts';
import { type Strategy, section } from './strategy.ts';

const kubernetes = 'kubernetes';

export const namespaces: Strategy = {
  prepareForCreate(object) {
    const spec = section(object, 'spec');
    const finalizers = (spec['finalizers'] as string[] | undefined) ?? [];
    spec['finalizers'] = finalizers.includes(kubernetes) ? finalizers : [...finalizers, kubernetes];
    object['status'] = { phase: 'Active' };
    const metadata = object.metadata ?? {};
    metadata.labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name ?? '' };
  },
  prepareForUpdate(next, old) {
    section(next, 'spec')['finalizers'] = (old as Namespace).spec?.finalizers;
  },
  prepareSubresource: {
    finalize(next, old) {
      next['status'] = old['status'];
    },
    status(next, old) {
      next['spec'] = old['spec'];
    },
  },
  mayGo: (object) => !(object as Namespace).spec?.finalizers?.length,
  markDeleted(object) {
    section(object, 'status')['phase'] = 'Terminating';
  },
  // The mark itself: a namespace never goes before it is finalized.
  graceSeconds: (object) => ((object as Namespace).spec?.finalizers?.length ? 0 : undefined),
};
