/** Values that are a number or a percentage: `maxUnavailable: 25%`. */

export type IntOrString = number | string;

/**
 * The number itself, or the percentage of `total` rounded up or down. Throws for other text.
 * @param total what 100% is
 */
export function scaledValue(value: IntOrString, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value;
  const match = /^(\d+)%$/.exec(value);
  if (!match) throw new Error(`invalid value for IntOrString: invalid type: string is not a percentage: "${value}"`);
  const share = (Number(match[1]) * total) / 100;
  return round === 'up' ? Math.ceil(share) : Math.floor(share);
}
