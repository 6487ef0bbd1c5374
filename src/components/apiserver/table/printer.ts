/** What a kind's printer is made of: columns, and the cells of one object. */
import type { KubeObject } from '../../../machinery/api/types.ts';
import { since } from './format.ts';

export interface TableColumnDefinition {
  name: string;
  type: string;
  format: string;
  description: string;
  /** 0 is always shown, more only with `-o wide`. */
  priority: number;
}

/** Marks rows of objects that have run to their end. */
export interface TableRowCondition {
  type: 'Completed';
  status: 'True';
  reason: string;
  message: string;
}

/** Prints objects of one kind. Cells stand in the order of the columns. */
export interface Printer<T extends KubeObject> {
  columns: TableColumnDefinition[];
  /** `now` in milliseconds, for ages. */
  cells(object: T, now: number): unknown[];
  conditions?(object: T): TableRowCondition[] | undefined;
  /** Rows of lists come in this order instead of the list's. */
  compare?(a: T, b: T): number;
}

/** Gives the cells' object its static type; the table holds printers of all kinds. */
export const printer = <T extends KubeObject>(of: Printer<T>): Printer<KubeObject> =>
  of as unknown as Printer<KubeObject>;

export const column = (name: string, type: string, description: string, format = ''): TableColumnDefinition => ({
  name,
  type,
  format,
  description,
  priority: 0,
});

/** A column that only `-o wide` shows. */
export const wide = (name: string, type: string, description: string, format = ''): TableColumnDefinition => ({
  ...column(name, type, description, format),
  priority: 1,
});

export const nameColumn = column('Name', 'string', 'Name of the object, unique within its namespace.', 'name');
export const ageColumn = column('Age', 'string', 'Time since the object was created.');
export const containerColumns = [
  wide('Containers', 'string', 'Names of the containers of the template.'),
  wide('Images', 'string', 'Images of the containers of the template.'),
];
export const selectorColumn = wide('Selector', 'string', 'Labels of the pods that belong to the object.');

export const nameOf = (object: KubeObject): string => object.metadata?.name ?? '';
export const ageOf = (object: KubeObject, now: number): string => since(object.metadata?.creationTimestamp, now);
