/** What this host already is. */
import { type Check, error, isControlPlane } from './check.ts';

/** A host is a control plane or a worker; going from one to the other leads over reset. */
export const role: Check = async ({ journal, command, bindPort }) => {
  const wasControlPlane = journal.has('note:control-plane');
  if (command === 'join' && journal.has('note:join') && wasControlPlane !== isControlPlane({ bindPort })) {
    const is = wasControlPlane ? 'is a control plane of a cluster' : 'is a worker of a cluster';
    return [error('Role', `this host ${is} already`, 'run kinit reset first')];
  }
  const other = command === 'init' ? 'join' : 'init';
  if (!journal.has(`note:${other}`)) return [];
  const what =
    command === 'init' && !wasControlPlane ? 'is a worker of a cluster' : 'is the control plane of a cluster';
  return [error('Role', `this host ${what} already`, 'run kinit reset first')];
};
