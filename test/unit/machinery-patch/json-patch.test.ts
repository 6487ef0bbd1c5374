import { describe, expect, it } from 'vitest';
import { applyJsonPatch, PatchError } from '../../../src/machinery/api/patch/json-patch.ts';

const document = { metadata: { labels: { a: '1', 'x/y': '2' } }, list: ['a', 'b', 'c'], nothing: null };

describe('JSON patch', () => {
  it.each<[string, unknown[], unknown]>([
    ['adds a member', [{ op: 'add', path: '/spec', value: { a: 1 } }], { ...document, spec: { a: 1 } }],
    ['inserts into a list', [{ op: 'add', path: '/list/1', value: 'x' }], { ...document, list: ['a', 'x', 'b', 'c'] }],
    ['appends to a list', [{ op: 'add', path: '/list/-', value: 'x' }], { ...document, list: ['a', 'b', 'c', 'x'] }],
    ['appends with -1', [{ op: 'add', path: '/list/-1', value: 'x' }], { ...document, list: ['a', 'b', 'c', 'x'] }],
    [
      'reads ~1 as a slash',
      [{ op: 'remove', path: '/metadata/labels/x~1y' }],
      { ...document, metadata: { labels: { a: '1' } } },
    ],
    ['removes from a list', [{ op: 'remove', path: '/list/0' }], { ...document, list: ['b', 'c'] }],
    ['replaces', [{ op: 'replace', path: '/list', value: [] }], { ...document, list: [] }],
    ['replaces null', [{ op: 'replace', path: '/nothing', value: 1 }], { ...document, nothing: 1 }],
    ['replaces the whole document', [{ op: 'replace', path: '', value: { b: 1 } }], { b: 1 }],
    ['moves', [{ op: 'move', from: '/list/0', path: '/list/2' }], { ...document, list: ['b', 'c', 'a'] }],
    ['copies', [{ op: 'copy', from: '/list/0', path: '/first' }], { ...document, first: 'a' }],
    ['tests an absent member as null', [{ op: 'test', path: '/absent', value: null }], document],
    ['tests deeply', [{ op: 'test', path: '/metadata', value: { labels: { 'x/y': '2', a: '1' } } }], document],
  ])('%s', (_, patch, expected) => {
    const before = structuredClone(document);
    expect(applyJsonPatch(document, patch)).toEqual(expected);
    expect(document).toEqual(before);
  });

  it.each<[unknown, string, string]>([
    [{ op: 'add' }, 'malformed', 'json: cannot unmarshal object into Go value of type jsonpatch.Patch'],
    [
      [{ op: 'replace', path: '/spec', value: 1 }],
      'failed',
      'replace operation does not apply: doc is missing key: /spec: missing value',
    ],
    [
      [{ op: 'add', path: '/a/b', value: 1 }],
      'failed',
      'add operation does not apply: doc is missing path: "/a/b": missing value',
    ],
    [
      [{ op: 'remove', path: '/a' }],
      'failed',
      "error in remove for path: '/a': Unable to remove nonexistent key: a: missing value",
    ],
    [
      [{ op: 'add', path: '/list/4', value: 1 }],
      'failed',
      "error in add for path: '/list/4': Unable to access invalid index: 4: invalid index referenced",
    ],
    [[{ op: 'test', path: '/list/0', value: 'z' }], 'failed', 'testing value /list/0 failed: test failed'],
    [[{ op: 'jump', path: '/list' }], 'failed', 'Unexpected kind: jump'],
  ])('refuses %j', (patch, problem, message) => {
    try {
      applyJsonPatch(document, patch);
    } catch (error) {
      expect(error).toBeInstanceOf(PatchError);
      expect({ problem: (error as PatchError).problem, message: (error as Error).message }).toEqual({
        problem,
        message,
      });
      return;
    }
    expect.unreachable();
  });
});
