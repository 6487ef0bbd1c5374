import { describe, expect, test } from 'vitest';
import {
  formatSelector,
  labelSelectorOf,
  matchesFields,
  matchesLabelSelector,
  matchesSelector,
  parseFieldSelector,
  parseSelector,
} from '../../../src/machinery/api/selectors.ts';

describe('a label selector', () => {
  test.each([
    ['app=web', { app: 'web' }, true],
    ['app==web', { app: 'db' }, false],
    ['app!=web', {}, true],
    ['app!=web', { app: 'web' }, false],
    ['app in (web,db)', { app: 'db' }, true],
    ['app notin (web, db)', { app: 'db' }, false],
    ['app notin (web)', {}, true],
    ['app', { app: '' }, true],
    ['!app', { app: '' }, false],
    ['!app', {}, true],
    ['app=', { app: '' }, true],
    ['size>3', { size: '4' }, true],
    ['size<3', { size: '4' }, false],
    ['a=b,c in (d),!e', { a: 'b', c: 'd' }, true],
    ['example.com/role=x', { 'example.com/role': 'x' }, true],
    ['', { anything: 'x' }, true],
  ])('%s on %j is %s', (text, labels, expected) => {
    expect(matchesSelector(parseSelector(text), labels as Record<string, string>)).toBe(expected);
  });

  test.each(['a=b,', 'a=(b)', 'in (a)', 'a in b', 'a b', ',a', 'a in (b', 'a>x', '_=b', 'a=-'])(
    '%s is refused',
    (text) => {
      expect(() => parseSelector(text)).toThrow('unable to parse requirement');
    },
  );

  test('is written with sorted keys', () => {
    expect(formatSelector(parseSelector('z=1,!b,a in (y,x)'))).toBe('a in (x,y),!b,z=1');
  });

  test('as an object matches labels and expressions together', () => {
    const selector = { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'tier', operator: 'Exists' }] };
    expect(matchesLabelSelector(selector, { app: 'web', tier: 'x' })).toBe(true);
    expect(matchesLabelSelector(selector, { app: 'web' })).toBe(false);
  });

  test('that is missing selects nothing, an empty one everything', () => {
    expect(matchesLabelSelector(undefined, {})).toBe(false);
    expect(matchesLabelSelector({}, {})).toBe(true);
    expect(() => labelSelectorOf({ matchExpressions: [{ key: 'a', operator: 'Near' }] })).toThrow('not a valid');
  });
});

describe('a field selector', () => {
  test.each([
    ['metadata.name=a', true],
    ['metadata.name==a,status.phase!=Running', true],
    ['status.phase=Running', false],
    ['spec.nodeName=', true],
  ])('%s is %s', (text, expected) => {
    const fields: Record<string, string> = { 'metadata.name': 'a', 'status.phase': 'Pending' };
    expect(matchesFields(parseFieldSelector(text), (field) => fields[field])).toBe(expected);
  });
  test('takes escaped characters', () => {
    expect(parseFieldSelector('a=b\\,c\\=d')).toEqual([{ field: 'a', operator: '=', value: 'b,c=d' }]);
  });
  test('without an operator is refused', () => {
    expect(() => parseFieldSelector('a')).toThrow("can't understand 'a'");
  });
});
