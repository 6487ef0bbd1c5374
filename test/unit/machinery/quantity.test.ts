import { describe, expect, test } from 'vitest';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityMilliValue,
  quantityValue,
} from '../../../src/machinery/api/quantity.ts';

describe('a quantity', () => {
  test.each([
    ['0', '0'],
    ['0Mi', '0'],
    ['1024Mi', '1Gi'],
    ['1.5Gi', '1536Mi'],
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['0.5', '500m'],
    ['1000Ki', '1000Ki'],
    ['1000000', '1M'],
    ['1e3', '1e3'],
    ['12E6', '12e6'],
    ['1E', '1E'],
    ['0.1Ki', '102400m'],
    ['1023', '1023'],
    ['-5Gi', '-5Gi'],
    ['+3', '3'],
    ['.5', '500m'],
    ['1n', '1n'],
    ['0.1n', '1n'],
    ['123456789123456789', '123456789123456789'],
    ['8Ei', '8Ei'],
    ['512Ki', '512Ki'],
  ])('%s is written as %s', (text, canonical) => {
    expect(canonicalQuantity(text)).toBe(canonical);
  });

  test.each([
    ['', 'quantities must match'],
    ['abc', 'quantities must match'],
    ['1.2.3', 'unable to parse numeric part'],
    ['1kk', "unable to parse quantity's suffix"],
    ['1 Gi', 'quantities must match'],
  ])('%j is refused', (text, message) => {
    expect(() => parseQuantity(text)).toThrow(message);
  });

  test('is added exactly and keeps the first format', () => {
    const sum = addQuantities(parseQuantity('0.1'), parseQuantity('200m'));
    expect(formatQuantity(sum)).toBe('300m');
    expect(formatQuantity(addQuantities(parseQuantity('1Gi'), parseQuantity('1')))).toBe('1073741825');
    expect(formatQuantity(addQuantities(parseQuantity('0'), parseQuantity('1Gi')))).toBe('1Gi');
  });

  test('is compared across formats', () => {
    expect(compareQuantities(parseQuantity('1Ki'), parseQuantity('1k'))).toBe(1);
    expect(compareQuantities(parseQuantity('1000m'), parseQuantity('1'))).toBe(0);
  });

  test('is rounded up to units and thousandths', () => {
    expect(quantityValue(parseQuantity('1100m'))).toBe(2);
    expect(quantityMilliValue(parseQuantity('1100u'))).toBe(2);
    expect(quantityValue(parseQuantity('2Gi'))).toBe(2147483648);
  });
});
