/** The CEL of validation rules: the language with the functions that Kubernetes adds to it. */
import { isIP } from 'node:net';
import { Environment } from '@marcbachmann/cel-js';
import { parseQuantity } from '../../../machinery/api/quantity.ts';
import { goPattern } from './formats.ts';

export type Evaluate = (context: Record<string, unknown>) => unknown;

type Order = bigint | number | string;

const less = (a: Order, b: Order): boolean => a < b;
const best = (list: Order[], better: (a: Order, b: Order) => boolean): Order => {
  const [first, ...rest] = list;
  if (first === undefined) throw new Error('min/max called on empty list');
  return rest.reduce((found, item) => (better(item, found) ? item : found), first);
};

const sum = (list: Order[]): Order =>
  list.reduce(
    (total, item) =>
      typeof total === 'bigint' && typeof item === 'bigint' ? total + item : Number(total) + Number(item),
    typeof list[0] === 'number' ? 0 : 0n,
  );

const key = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner));

const indexIn = (list: unknown[], item: unknown): bigint =>
  BigInt(list.findIndex((member) => key(member) === key(item)));
const lastIndexIn = (list: unknown[], item: unknown): bigint =>
  BigInt(list.findLastIndex((member) => key(member) === key(item)));

function isUrl(text: string): boolean {
  return URL.canParse(text) || (text.startsWith('/') && URL.canParse(text, 'http://localhost'));
}

function isQuantity(text: string): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch {
    return false;
  }
}

function isCidr(text: string): boolean {
  const [address = '', bits = ''] = text.split('/');
  const family = isIP(address);
  return family !== 0 && /^\d+$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32);
}

class CelQuantity {
  readonly nano: bigint;
  constructor(text: string) {
    this.nano = parseQuantity(text).nano;
  }
}

const compareQuantities = (a: CelQuantity, b: CelQuantity): bigint =>
  a.nano < b.nano ? -1n : a.nano > b.nano ? 1n : 0n;

class CelUrl {
  readonly url: URL;
  constructor(text: string) {
    this.url = text.startsWith('/') ? new URL(text, 'http://localhost') : new URL(text);
  }
}

/** `%s`, `%d` and `%%` of the strings extension. */
function formatted(text: string, values: unknown[]): string {
  let next = 0;
  return text.replace(/%(%|s|d)/g, (_, verb: string) => {
    if (verb === '%') return '%';
    const value = values[next++];
    return typeof value === 'object' ? key(value) : String(value);
  });
}

/** What expressions speak about: an object of a custom kind, a request, or a request under a policy. */
export type Subject = 'object' | 'request' | 'policy';

const variables: Record<Subject, string[]> = {
  object: ['self', 'oldSelf'],
  request: ['object', 'oldObject', 'request'],
  policy: ['object', 'oldObject', 'request', 'params', 'namespaceObject', 'variables'],
};
const environments = new Map<Subject, Environment>();

function environmentOf(subject: Subject): Environment {
  let environment = environments.get(subject);
  if (environment) return environment;
  environment = new Environment({
    unlistedVariablesAreDyn: false,
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
  })
    .registerFunction('list.sum(): dyn', sum)
    .registerFunction('list.min(): dyn', (list: Order[]) => best(list, less))
    .registerFunction('list.max(): dyn', (list: Order[]) => best(list, (a, b) => less(b, a)))
    .registerFunction('list.isSorted(): bool', (list: Order[]) =>
      list.every((item, index) => index === 0 || !less(item, list[index - 1] as Order)),
    )
    .registerFunction('list.indexOf(dyn): int', indexIn)
    .registerFunction('list.lastIndexOf(dyn): int', lastIndexIn)
    .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
      text.replaceAll(from, to),
    )
    .registerFunction('string.charAt(int): string', (text: string, index: bigint) => text.charAt(Number(index)))
    .registerFunction('string.reverse(): string', (text: string) => [...text].reverse().join(''))
    .registerFunction(
      'string.find(string): string',
      (text: string, pattern: string) => goPattern(pattern).exec(text)?.[0] ?? '',
    )
    .registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) => [
      ...(text.match(new RegExp(goPattern(pattern), 'g')) ?? []),
    ])
    .registerFunction('string.matchesPattern(string): bool', (text: string, pattern: string) =>
      goPattern(pattern).test(text),
    )
    .registerFunction('string.format(list): string', formatted)
    .registerType('kubernetes.Quantity', CelQuantity)
    .registerFunction('quantity(string): kubernetes.Quantity', (text: string) => new CelQuantity(text))
    .registerFunction('kubernetes.Quantity.compareTo(kubernetes.Quantity): int', compareQuantities)
    .registerFunction(
      'kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool',
      (a: CelQuantity, b: CelQuantity) => compareQuantities(a, b) > 0n,
    )
    .registerFunction(
      'kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool',
      (a: CelQuantity, b: CelQuantity) => compareQuantities(a, b) < 0n,
    )
    .registerType('kubernetes.URL', CelUrl)
    .registerFunction('url(string): kubernetes.URL', (text: string) => new CelUrl(text))
    .registerFunction('kubernetes.URL.getScheme(): string', ({ url }: CelUrl) => url.protocol.slice(0, -1))
    .registerFunction('kubernetes.URL.getHost(): string', ({ url }: CelUrl) => url.host)
    .registerFunction('kubernetes.URL.getHostname(): string', ({ url }: CelUrl) => url.hostname)
    .registerFunction('kubernetes.URL.getPort(): string', ({ url }: CelUrl) => url.port)
    .registerFunction('kubernetes.URL.getEscapedPath(): string', ({ url }: CelUrl) => url.pathname)
    .registerFunction('isURL(string): bool', isUrl)
    .registerFunction('isIP(string): bool', (text: string) => isIP(text) !== 0)
    .registerFunction('isCIDR(string): bool', isCidr)
    .registerFunction('isQuantity(string): bool', isQuantity);
  for (const name of variables[subject]) environment.registerVariable(name, 'dyn');
  environments.set(subject, environment);
  return environment;
}

const maxKept = 2_000;
const kept = new Map<string, Evaluate>();

/** Throws for an expression that cannot be read or has unknown variables or functions. */
export function compileExpression(expression: string, subject: Subject = 'object'): Evaluate {
  const name = `${subject} ${expression}`;
  const known = kept.get(name);
  if (known) return known;
  // Patterns are Go's, not the library's.
  const parsed = environmentOf(subject).parse(expression.replace(/\.matches\s*\(/g, '.matchesPattern('));
  const { valid, error } = parsed.check();
  if (!valid) throw error ?? new Error('the expression cannot be checked');
  const evaluate: Evaluate = (context) => parsed(context);
  if (kept.size >= maxKept) kept.clear();
  kept.set(name, evaluate);
  return evaluate;
}

/** The first line of what the CEL library says. */
export const celProblem = (error: unknown): string => (error as Error).message.split('\n')[0] ?? '';

/** JSON without a schema as CEL's values. */
export function untypedValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(untypedValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, untypedValue(member)]));
}
