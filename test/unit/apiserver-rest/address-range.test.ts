import { describe, expect, test } from 'vitest';
import { addressAt, parseRange } from '../../../src/components/apiserver/strategies/address-range.ts';

describe('address ranges', () => {
  test.each([
    ['10.96.0.0/12', 1, '10.96.0.1', 1_048_576],
    ['10.96.5.7/16', 65_535, '10.96.255.255', 65_536],
    ['192.168.1.0/30', 3, '192.168.1.3', 4],
    ['fd00::/108', 1, 'fd00::1', 1_048_576],
    ['fd00:0:0:1::/64', 10, 'fd00:0:0:1::a', 1_048_576],
  ])('%s has %i at %s', (cidr, offset, address, size) => {
    const range = parseRange(cidr);
    expect(addressAt(range, offset)).toBe(address);
    expect(range.size).toBe(size);
  });
  test.each(['10.96.0.0', '10.96.0.0/33', 'x/8', '10.96.0.0/', ''])('%j is none', (text) => {
    expect(() => parseRange(text)).toThrow('is not an address range');
  });
});
