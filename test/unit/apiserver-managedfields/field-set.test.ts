import { describe, expect, it } from 'vitest';
import {
  difference,
  eachMember,
  type FieldSet,
  insertPath,
  intersection,
  pathText,
  union,
} from '../../../src/components/apiserver/managedfields/field-set.ts';

const elements = ['f:a', 'f:b', 'k:{"name":"x"}'];
/** All paths of up to three elements. */
const paths = elements.flatMap((a) => [[a], ...elements.flatMap((b) => [[a, b], ...elements.map((c) => [a, b, c])])]);

/** A generator with a seed, so that a failure can be seen again. */
function randomSets(seed: number, count: number): string[][][] {
  let state = seed;
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
  return Array.from({ length: count }, () => paths.filter(() => next() < 0.2));
}

function setOf(members: string[][]): FieldSet {
  const set: FieldSet = {};
  for (const path of members) insertPath(set, path);
  return set;
}

function membersOf(set: FieldSet): string[] {
  const found: string[] = [];
  eachMember(set, (path) => found.push(path.join('/')));
  return found.sort();
}

describe('sets of fields', () => {
  const [left = [], right = []] = [randomSets(1, 100), randomSets(2, 100)];
  const text = (members: string[][]) => members.map((path) => path.join('/')).sort();
  const pairs = left.map((members, index) => [members, right[index] ?? []] as const);

  it.each<[string, (a: FieldSet, b: FieldSet) => FieldSet, (a: string, inA: boolean, inB: boolean) => boolean]>([
    ['union', union, (_, inA, inB) => inA || inB],
    ['difference', difference, (_, inA, inB) => inA && !inB],
    ['intersection', intersection, (_, inA, inB) => inA && inB],
  ])('%s has the members that it should have, and leaves its arguments alone', (_, operation, keeps) => {
    for (const [a, b] of pairs) {
      const [setA, setB] = [setOf(a), setOf(b)];
      const [inA, inB] = [new Set(text(a)), new Set(text(b))];
      const expected = text(paths).filter((path) => keeps(path, inA.has(path), inB.has(path)));
      expect(membersOf(operation(setA, setB))).toEqual(expected);
      expect([setA, setB]).toEqual([setOf(a), setOf(b)]);
    }
  });

  it('answers the same set when nothing changes', () => {
    const set = setOf([['f:a'], ['f:a', 'f:b']]);
    expect(difference(set, setOf([['f:b']]))).toBe(set);
    expect(union(set, setOf([['f:a', 'f:b']]))).toBe(set);
  });

  it.each([
    [['f:spec', 'f:replicas'], '.spec.replicas'],
    [['f:ports', 'k:{"port":80,"protocol":"TCP"}', 'f:name'], '.ports[port=80,protocol="TCP"].name'],
    [['f:finalizers', 'v:"x/y"'], '.finalizers[="x/y"]'],
    [['f:list', 'i:3'], '.list[3]'],
  ])('prints %j', (path, expected) => {
    expect(pathText(path)).toBe(expected);
  });
});
