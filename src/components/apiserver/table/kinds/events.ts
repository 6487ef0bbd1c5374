/** Events, of the core group and of events.k8s.io. */
import type { CoreEvent, EventsV1Event, ObjectReference } from '../../../../machinery/api/types.ts';
import { since } from '../format.ts';
import { column, nameColumn, nameOf, printer, wide } from '../printer.ts';

const columns = [
  column('Last Seen', 'string', 'When it was last observed.'),
  column('Type', 'string', 'Normal or Warning.'),
  column('Reason', 'string', 'What happened, in one word.'),
  column('Object', 'string', 'What it happened to.'),
  wide('Subobject', 'string', 'Part of the object.'),
  wide('Source', 'string', 'Who reports it.'),
  column('Message', 'string', 'What happened.'),
  wide('First Seen', 'string', 'When it was first observed.'),
  wide('Count', 'string', 'How often it was observed.'),
  { ...nameColumn, priority: 1 },
];

/** The fields that the two groups name differently, under the core group's names. */
function asCoreEvent(event: CoreEvent & EventsV1Event): CoreEvent {
  if (!event.regarding && event.note === undefined) return event;
  return {
    ...event,
    involvedObject: event.regarding ?? {},
    message: event.note,
    source: event.deprecatedSource,
    firstTimestamp: event.deprecatedFirstTimestamp,
    lastTimestamp: event.deprecatedLastTimestamp,
    count: event.deprecatedCount,
    reportingComponent: event.reportingController,
  } as CoreEvent;
}

function target({ kind = '', name }: ObjectReference): string {
  return name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase();
}

function source(event: CoreEvent): string {
  const component = event.source?.component || event.reportingComponent || '';
  const instance = event.source?.host || event.reportingInstance;
  return instance ? `${component}, ${instance}` : component;
}

export const eventPrinter = printer<CoreEvent & EventsV1Event>({
  columns,
  cells(any, now) {
    const event = asCoreEvent(any);
    const first = since(event.firstTimestamp || event.eventTime, now);
    const last = event.lastTimestamp ? since(event.lastTimestamp, now) : first;
    return [
      event.series ? since(event.series.lastObservedTime, now) : last,
      event.type ?? '',
      event.reason ?? '',
      target(event.involvedObject ?? {}),
      event.involvedObject?.fieldPath ?? '',
      source(event),
      (event.message ?? '').trim(),
      first,
      event.series ? (event.series.count ?? 0) : event.count || 1,
      nameOf(event),
    ];
  },
});
