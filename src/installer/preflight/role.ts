/** What this host already is. */
import { type Check, error } from './check.ts';

/** A host is a control plane or a worker; going from one to the other leads over reset. */
export const role: Check = async ({ journal, command }) => {
  const other = command === 'init' ? 'join' : 'init';
  if (!journal.has(`note:${other}`)) return [];
  const what = command === 'init' ? 'is a worker of a cluster' : 'is the control plane of a cluster';
  return [error('Role', `this host ${what} already`, 'run kinit reset first')];
};
