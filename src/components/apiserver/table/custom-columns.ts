/** Printers of custom resources, from `additionalPrinterColumns` of their definition. */
import type { KubeObject } from '../../../machinery/api/types.ts';
import { compileJsonPath } from '../../../machinery/json-path.ts';
import { humanDuration } from './format.ts';
import { ageColumn, column, nameColumn, nameOf, type Printer } from './printer.ts';

/** An entry of `spec.versions[].additionalPrinterColumns`. */
export interface PrinterColumn {
  name: string;
  type: string;
  jsonPath: string;
  format?: string;
  description?: string;
  priority?: number;
}

const defaultColumns: PrinterColumn[] = [
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: ageColumn.description },
];

const printers = new WeakMap<PrinterColumn[], Printer<KubeObject>>();

/** Name and the given columns; name and age when there are none. */
export function customPrinter(given: PrinterColumn[]): Printer<KubeObject> {
  let printer = printers.get(given);
  if (!printer) {
    const columns = given.length > 0 ? given : defaultColumns;
    const finders = columns.map(({ jsonPath }) => finderOf(jsonPath));
    printer = {
      columns: [
        nameColumn,
        ...columns.map(({ name, type, jsonPath, description, format, priority }) => ({
          ...column(
            name,
            type,
            description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
            format,
          ),
          priority: priority ?? 0,
        })),
      ],
      cells: (object, now) => [
        nameOf(object),
        ...finders.map((find, index) => cell(columns[index]!.type, find(object)[0], now)),
      ],
    };
    printers.set(given, printer);
  }
  return printer;
}

/** A path that cannot be read finds nothing. */
function finderOf(jsonPath: string): (value: unknown) => unknown[] {
  try {
    return compileJsonPath(jsonPath);
  } catch (error) {
    if (error instanceof Error) return () => [];
    throw error;
  }
}

/** The value as its column's type, null when it is of another. */
function cell(type: string, value: unknown, now: number): unknown {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : JSON.stringify(value);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date': {
      const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
      return Number.isNaN(time) ? '<invalid>' : humanDuration(now - time);
    }
    default:
      return null;
  }
}
