/** Server-side printing: objects as a meta.k8s.io/v1 Table with upstream's columns. */
import type { KubeList, KubeObject, UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';
import { customPrinter, type PrinterColumn } from './custom-columns.ts';
import type { Printer, TableColumnDefinition, TableRowCondition } from './printer.ts';
import { printerOf } from './printers.ts';

export type { TableColumnDefinition } from './printer.ts';

export interface TableRow {
  cells: unknown[];
  conditions?: TableRowCondition[];
  /** As asked by `includeObject`; null with `None`. */
  object: UnknownObject | null;
}

export interface Table {
  kind: 'Table';
  apiVersion: string;
  metadata: KubeList<never>['metadata'];
  /** null without headers. */
  columnDefinitions: TableColumnDefinition[] | null;
  rows: TableRow[];
}

export interface TableOptions {
  includeObject?: 'None' | 'Metadata' | 'Object';
  /** Of the list, or of the object when it is a single one. */
  listMeta?: KubeList<never>['metadata'];
  version?: 'v1' | 'v1beta1';
  /** Watches send columns with the first event only. */
  noHeaders?: boolean;
  now?: Date;
}

/** `printerColumns` are the columns of a custom resource's definition, empty when it has none. */
export type Printable = Pick<ResourceDescriptor, 'group' | 'version' | 'kind'> & { printerColumns?: PrinterColumn[] };

const printerFor = ({ group, kind, printerColumns }: Printable): Printer<KubeObject> =>
  printerColumns ? customPrinter(printerColumns) : printerOf(group, kind);

/** Prints objects of one kind. */
export function toTable(descriptor: Printable, objects: UnknownObject[], options: TableOptions): Table {
  const { columns, cells, conditions, compare } = printerFor(descriptor);
  const apiVersion = `meta.k8s.io/${options.version ?? 'v1'}`;
  const now = (options.now ?? new Date()).getTime();
  const typed = {
    kind: descriptor.kind,
    apiVersion: descriptor.group ? `${descriptor.group}/${descriptor.version}` : descriptor.version,
  };
  const included = (object: UnknownObject): UnknownObject | null => {
    if (options.includeObject === 'None') return null;
    if (options.includeObject === 'Object') return { ...typed, ...object };
    return { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata ?? {} };
  };
  const ordered = compare && objects.length > 1 ? objects.toSorted(compare) : objects;
  return {
    kind: 'Table',
    apiVersion,
    metadata: options.listMeta ?? {},
    columnDefinitions: options.noHeaders ? null : columns,
    rows: ordered.map((object) => {
      const marks = conditions?.(object);
      return { cells: cells(object, now), ...(marks ? { conditions: marks } : {}), object: included(object) };
    }),
  };
}
