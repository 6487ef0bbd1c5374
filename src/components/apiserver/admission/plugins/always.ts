/** AlwaysAdmit and AlwaysDeny, for tests of clusters. */
import type { Operation } from '../../types.ts';
import { type PluginFactory, refuse } from '../plugin.ts';

const everything = (_operation: Operation): boolean => true;

export const alwaysAdmit: PluginFactory = () => ({ name: 'AlwaysAdmit', handles: everything });

export const alwaysDeny: PluginFactory = () => ({
  name: 'AlwaysDeny',
  handles: everything,
  validate(attributes) {
    throw refuse(attributes, 'admission control is denying all modifications');
  },
});
