/** JSONPath as Kubernetes reads it: `.spec.a`, `['b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`. */
import { isObject } from './api/json.ts';

type Step = (value: unknown) => unknown[];

const child =
  (key: string): Step =>
  (value) =>
    isObject(value) && Object.hasOwn(value, key) ? [value[key]] : [];

const every: Step = (value) => (Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []);

const element =
  (index: number): Step =>
  (value) => {
    const found = Array.isArray(value) ? value.at(index) : undefined;
    return found === undefined ? [] : [found];
  };

const token =
  /^(?:\.?\[\s*(?:(-?\d+)|(\*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|\?\((.*?)\))\s*\]|\.(\*)|\.?((?:[^.[\]\\]|\\.)+)|(\.)$)/;
const comparison = /^\s*@((?:\.|\[).*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?$/;

/** Finds all values; none for a path that leads nowhere. Throws for a path that cannot be read. */
export function compileJsonPath(path: string): (value: unknown) => unknown[] {
  const steps: Step[] = [];
  let rest = path.trim().replace(/^\$/, '');
  while (rest !== '') {
    const match = token.exec(rest);
    if (!match) throw new Error(`unrecognized character in JSONPath: ${rest}`);
    const [all, index, star, single, double, filter, dotStar, name] = match;
    const key = single ?? double ?? name;
    if (index !== undefined) steps.push(element(Number(index)));
    else if (star ?? dotStar) steps.push(every);
    else if (filter !== undefined) steps.push(filterStep(filter));
    else if (key !== undefined) steps.push(child(key.replace(/\\(.)/g, '$1')));
    rest = rest.slice(all.length);
  }
  return (value) => steps.reduce<unknown[]>((values, step) => values.flatMap(step), [value]);
}

function filterStep(text: string): Step {
  const match = comparison.exec(text);
  if (!match) throw new Error(`unrecognized filter in JSONPath: ${text}`);
  const [, path, operator, literal] = match;
  const left = compileJsonPath(path as string);
  const right = literal === undefined ? undefined : literalValue(literal);
  const holds = (item: unknown): boolean => {
    const found = left(item);
    if (found.length === 0) return false;
    return operator === undefined || compare(found[0], operator, right);
  };
  return (value) => every(value).filter(holds);
}

function literalValue(text: string): unknown {
  const quoted = /^'(.*)'$|^"(.*)"$/.exec(text);
  if (quoted) return quoted[1] ?? quoted[2];
  return JSON.parse(text) as unknown;
}

function compare(left: unknown, operator: string, right: unknown): boolean {
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  if (typeof left !== typeof right || (typeof left !== 'number' && typeof left !== 'string')) return false;
  const [a, b] = [left, right as typeof left];
  if (operator === '<') return a < b;
  if (operator === '<=') return a <= b;
  return operator === '>' ? a > b : a >= b;
}
