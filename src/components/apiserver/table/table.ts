/** Server-side printing: objects as a meta.k8s.io/v1 Table with upstream's columns. */
import type { KubeList, KubeObject, UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';
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
  /** Of a custom resource with columns of its own (`customPrinter`); built-in kinds have theirs. */
  printer?: Printer<KubeObject>;
}

/** Prints objects of one kind. */
export function toTable(
  descriptor: Pick<ResourceDescriptor, 'group' | 'version' | 'kind'>,
  objects: UnknownObject[],
  options: TableOptions,
): Table {
  const { columns, cells, conditions, compare } = options.printer ?? printerOf(descriptor.group, descriptor.kind);
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
