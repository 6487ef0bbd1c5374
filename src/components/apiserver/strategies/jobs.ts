/** Jobs select their pods by a label with the job's UID, unless the user wants to select by hand. */
import type { Job } from '../../../machinery/api/types.ts';
import type { Strategy } from './strategy.ts';

const legacy = { uid: 'controller-uid', name: 'job-name' };
const current = { uid: 'batch.kubernetes.io/controller-uid', name: 'batch.kubernetes.io/job-name' };

export const jobs: Strategy = {
  generation: true,
  defaultPropagation: 'Orphan',
  prepareForCreate(object) {
    const job = object as Job;
    const { name = '', uid = '' } = job.metadata ?? {};
    const { spec } = job;
    if (!spec || spec.manualSelector) return;
    spec.template.metadata ??= {};
    spec.template.metadata.labels = {
      ...spec.template.metadata.labels,
      [legacy.name]: name,
      [legacy.uid]: uid,
      [current.name]: name,
      [current.uid]: uid,
    };
    spec.selector ??= {};
    spec.selector.matchLabels = { ...spec.selector.matchLabels, [current.uid]: uid };
  },
};
