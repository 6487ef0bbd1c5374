/** The index `node` of the shared pod informer: pods by the node that they are bound to. */
import type { Pod } from '../../../../machinery/api/types.ts';

export const podsByNode = ({ spec }: Pod): string[] => (spec?.nodeName ? [spec.nodeName] : []);
