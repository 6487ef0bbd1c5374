/** Server-side printing: objects as a meta.k8s.io/v1 Table with upstream's columns. */
import type { KubeList, UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';

export interface TableColumnDefinition {
  name: string;
  type: string;
  format: string;
  description: string;
  /** 0 is always shown, more only with `-o wide`. */
  priority: number;
}

export interface TableRow {
  cells: unknown[];
  /** As asked by `includeObject`. */
  object?: UnknownObject;
}

export interface Table {
  kind: 'Table';
  apiVersion: string;
  metadata: KubeList<never>['metadata'];
  columnDefinitions: TableColumnDefinition[];
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

/** Prints objects of one kind. */
export function toTable(_descriptor: ResourceDescriptor, _objects: UnknownObject[], options: TableOptions): Table {
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.version ?? 'v1'}`,
    metadata: options.listMeta ?? {},
    columnDefinitions: [],
    rows: [],
  };
}
