/**
 * Resource quantities (`500m`, `1Gi`, `1e3`), exact: a quantity is a number of nano units in a bigint plus the family of
 * suffixes it was written with, as upstream's resource.Quantity.
 */

/** `BinarySI`: Ki, Mi, …; `DecimalSI`: m, k, M, …; `DecimalExponent`: e3. */
export type QuantityFormat = 'BinarySI' | 'DecimalSI' | 'DecimalExponent';

export interface Quantity {
  /** The value times 10^9; smaller parts are rounded up, as upstream does. */
  readonly nano: bigint;
  readonly format: QuantityFormat;
}

const nanoPerUnit = 1_000_000_000n;
const syntax = /^([+-]?)(\d*)(?:\.(\d*))?((?:[KMGTPE]i)|[numkMGTPE]|[eE][+-]?\d+)?$/;

const binaryShift: Record<string, bigint> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };
const decimalExponent: Record<string, number> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};

const anyQuantity = /^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$/;

export class QuantityError extends Error {
  constructor(text: string) {
    super(
      !anyQuantity.test(text)
        ? "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        : /^[+-]?(\d+\.?\d*|\.\d+)/.exec(text)?.[0].length === anyQuantity.exec(text)?.[1]?.length
          ? "unable to parse quantity's suffix"
          : 'unable to parse numeric part of quantity',
    );
    this.name = 'QuantityError';
  }
}

const ten = (exponent: number): bigint => 10n ** BigInt(exponent);

/** Divides and rounds away from zero, as upstream rounds up what it cannot hold. */
function divideUp(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by === 0n ? quotient : quotient + (value > 0n ? 1n : -1n);
}

/** Parses `1.5Gi`, `100m`, `12e6`, … A number is taken as its decimal text. Throws QuantityError. */
export function parseQuantity(input: string | number): Quantity {
  const text = String(input);
  const match = syntax.exec(text);
  const whole = match?.[2] ?? '';
  const fraction = match?.[3] ?? '';
  if (!match || (whole === '' && fraction === '')) throw new QuantityError(text);
  const suffix = match[4] ?? '';
  const digits = BigInt(`${whole}${fraction}` || '0') * (match[1] === '-' ? -1n : 1n);
  const shift = binaryShift[suffix];
  if (shift !== undefined) {
    return { nano: divideUp((digits << shift) * nanoPerUnit, ten(fraction.length)), format: 'BinarySI' };
  }
  const unit = decimalExponent[suffix];
  const exponent = unit ?? Number(suffix.slice(1));
  if (exponent > 1000 || exponent < -1000) throw new QuantityError(text);
  const power = exponent + 9 - fraction.length;
  const nano = power >= 0 ? digits * ten(power) : divideUp(digits, ten(-power));
  return { nano, format: unit === undefined ? 'DecimalExponent' : 'DecimalSI' };
}

/** Like parseQuantity, but undefined for what is no quantity. */
export function tryParseQuantity(input: string | number): Quantity | undefined {
  try {
    return parseQuantity(input);
  } catch (error) {
    if (error instanceof QuantityError) return undefined;
    throw error;
  }
}

const decimalSuffixes: [exponent: number, suffix: string][] = [
  [18, 'E'],
  [15, 'P'],
  [12, 'T'],
  [9, 'G'],
  [6, 'M'],
  [3, 'k'],
  [0, ''],
  [-3, 'm'],
  [-6, 'u'],
  [-9, 'n'],
];
const binarySuffixes: [shift: bigint, suffix: string][] = [
  [60n, 'Ei'],
  [50n, 'Pi'],
  [40n, 'Ti'],
  [30n, 'Gi'],
  [20n, 'Mi'],
  [10n, 'Ki'],
  [0n, ''],
];

/** The canonical text: the largest suffix of its family that leaves no fraction. */
export function formatQuantity({ nano, format }: Quantity): string {
  if (nano === 0n) return '0';
  const size = nano < 0n ? -nano : nano;
  // Upstream falls back to decimal for binary quantities below 1024 or with a fraction.
  if (format === 'BinarySI' && size >= 1024n * nanoPerUnit && nano % nanoPerUnit === 0n) {
    const units = nano / nanoPerUnit;
    for (const [shift, suffix] of binarySuffixes) if (units % (1n << shift) === 0n) return `${units >> shift}${suffix}`;
  }
  for (const [exponent, suffix] of decimalSuffixes) {
    const step = ten(exponent + 9);
    if (nano % step !== 0n) continue;
    const mantissa = nano / step;
    if (format !== 'DecimalExponent') return `${mantissa}${suffix}`;
    return exponent === 0 ? String(mantissa) : `${mantissa}e${exponent}`;
  }
  return String(nano);
}

/** Parses and formats: `1024Mi` → `1Gi`. */
export const canonicalQuantity = (input: string | number): string => formatQuantity(parseQuantity(input));

export const zeroQuantity: Quantity = { nano: 0n, format: 'DecimalSI' };

/** The sum keeps the first one's format, unless that one is zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano + b.nano, format: a.nano === 0n ? b.format : a.format };
}
export function subtractQuantities(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano - b.nano, format: a.nano === 0n ? b.format : a.format };
}
export const compareQuantities = (a: Quantity, b: Quantity): -1 | 0 | 1 =>
  a.nano < b.nano ? -1 : a.nano > b.nano ? 1 : 0;

/** Whole units, rounded up (upstream's Value()). */
export const quantityValue = (quantity: Quantity): number => Number(divideUp(quantity.nano, nanoPerUnit));
/** Thousandths, rounded up (upstream's MilliValue()). */
export const quantityMilliValue = (quantity: Quantity): number => Number(divideUp(quantity.nano, 1_000_000n));

export const quantityOf = (value: number, format: QuantityFormat = 'DecimalSI'): Quantity => ({
  nano: BigInt(Math.round(value)) * nanoPerUnit,
  format,
});
export const milliQuantity = (milli: number): Quantity => ({
  nano: BigInt(Math.round(milli)) * 1_000_000n,
  format: 'DecimalSI',
});

/** A resource list (`requests`, `limits`, `capacity`, `hard`) with parsed values. */
export type ResourceQuantities = Record<string, Quantity>;

export function parseResourceList(list: Record<string, string> | undefined): ResourceQuantities {
  const parsed: ResourceQuantities = {};
  for (const [name, text] of Object.entries(list ?? {})) parsed[name] = parseQuantity(text);
  return parsed;
}
export function formatResourceList(list: ResourceQuantities): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, quantity] of Object.entries(list)) texts[name] = formatQuantity(quantity);
  return texts;
}
export function addResourceLists(a: ResourceQuantities, b: ResourceQuantities): ResourceQuantities {
  const sum = { ...a };
  for (const [name, quantity] of Object.entries(b)) sum[name] = addQuantities(sum[name] ?? zeroQuantity, quantity);
  return sum;
}
/** Per resource the larger of the two. */
export function maxResourceLists(a: ResourceQuantities, b: ResourceQuantities): ResourceQuantities {
  const max = { ...a };
  for (const [name, quantity] of Object.entries(b)) {
    const other = max[name];
    if (!other || compareQuantities(quantity, other) > 0) max[name] = quantity;
  }
  return max;
}
