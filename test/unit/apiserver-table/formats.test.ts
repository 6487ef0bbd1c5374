import { describe, expect, it } from 'vitest';
import { humanDuration, shortened } from '../../../src/components/apiserver/table/format.ts';
import { compileJsonPath } from '../../../src/machinery/json-path.ts';

describe('durations', () => {
  const [minute, hour, day] = [60, 3600, 86_400];
  it.each([
    [-5, '<invalid>'],
    [-0.5, '0s'],
    [119, '119s'],
    [2 * minute, '2m'],
    [9 * minute + 59, '9m59s'],
    [10 * minute + 1, '10m'],
    [179 * minute, '179m'],
    [3 * hour, '3h'],
    [7 * hour + 5 * minute, '7h5m'],
    [47 * hour, '47h'],
    [2 * day, '2d'],
    [7 * day + 23 * hour, '7d23h'],
    [8 * day + hour, '8d'],
    [729 * day, '729d'],
    [730 * day, '2y'],
    [800 * day, '2y70d'],
    [3000 * day, '8y'],
  ])('%d s is %s', (seconds, text) => {
    expect(humanDuration(seconds * 1000)).toBe(text);
  });
});

describe('long lists', () => {
  it.each([
    [[], '-'],
    [['a', 'b'], 'a,b'],
    [['a', 'b', 'c', 'd'], 'a,b + 2 more...'],
  ])('%j is %s', (list, text) => {
    expect(shortened(list, 2, '-')).toBe(text);
  });
});

describe('JSONPath', () => {
  const object = {
    a: {
      'b.c': 1,
      list: [
        { n: 1, s: 'x' },
        { n: 5, s: 'y' },
      ],
    },
  };
  it.each<[string, unknown[]]>([
    ['.a.list[0].s', ['x']],
    ['.a.list[-1].s', ['y']],
    ['.a.list[*].n', [1, 5]],
    ['$.a.list[?(@.n>2)].s', ['y']],
    [".a.list[?(@.s=='x')].n", [1]],
    ["['a']['b.c']", [1]],
    ['.a.b\\.c', [1]],
    ['.a.none.more', []],
  ])('%s', (path, values) => {
    expect(compileJsonPath(path)(object)).toEqual(values);
  });

  it('refuses what is no path', () => {
    expect(() => compileJsonPath('.a[')).toThrow('unrecognized character in JSONPath');
  });
});
