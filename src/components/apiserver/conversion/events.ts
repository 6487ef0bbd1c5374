/** core/v1 Event ↔ events.k8s.io/v1 Event: the same facts under other names. */
import type { UnknownObject } from '../../../machinery/api/types.ts';

/** Name in the core group → name in events.k8s.io. */
const renamed: [core: string, event: string][] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];
const toEvent = new Map(renamed);
const toCore = new Map(renamed.map(([core, event]) => [event, core]));
/** Written by upstream's core Event even when they are empty. */
const emptyInCore = {
  source: {},
  firstTimestamp: null,
  lastTimestamp: null,
  reportingInstance: '',
  reportingComponent: '',
};

const rename = (object: UnknownObject, names: Map<string, string>): UnknownObject =>
  Object.fromEntries(Object.entries(object).map(([field, value]) => [names.get(field) ?? field, value]));

export const eventFromCore = (stored: UnknownObject): UnknownObject => rename(stored, toEvent);
export const eventToCore = (served: UnknownObject): UnknownObject => ({ ...emptyInCore, ...rename(served, toCore) });
