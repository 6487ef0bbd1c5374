import { describe, expect, test } from 'vitest';
import { withCondition } from '../../../src/machinery/api/conditions.ts';
import { fnv1a32, safeEncode, templateHash } from '../../../src/machinery/api/hash.ts';
import { scaledValue } from '../../../src/machinery/api/int-or-string.ts';
import {
  dns1123LabelErrors,
  dns1123SubdomainErrors,
  generateName,
  labelValueErrors,
  qualifiedNameErrors,
} from '../../../src/machinery/api/names.ts';
import { matchesRequiredNodeAffinity, nodeNamesOf } from '../../../src/machinery/api/node-affinity.ts';
import { podRequests, qosClassOf } from '../../../src/machinery/api/pod-resources.ts';
import { formatResourceList } from '../../../src/machinery/api/quantity.ts';
import { toleratesTaint, untoleratedTaint } from '../../../src/machinery/api/taints.ts';
import {
  formatDuration,
  formatMicroTime,
  formatTime,
  parseDuration,
  parseTime,
} from '../../../src/machinery/api/time.ts';
import type { Container, Pod } from '../../../src/machinery/api/types.ts';

describe('durations', () => {
  test.each([
    ['1m30s', 90_000, '1m30s'],
    ['1h', 3_600_000, '1h0m0s'],
    ['300ms', 300, '300ms'],
    ['1.5s', 1500, '1.5s'],
    ['0', 0, '0s'],
    ['-2s', -2000, '-2s'],
    ['24h0m0s', 86_400_000, '24h0m0s'],
  ])('%s is %d ms and prints as %s', (text, ms, printed) => {
    expect(parseDuration(text)).toBe(ms);
    expect(formatDuration(ms)).toBe(printed);
  });
  test.each([
    ['5', 'missing unit'],
    ['', 'invalid duration'],
    ['1d', 'invalid duration'],
  ])('%j is refused: %s', (text, message) => {
    expect(() => parseDuration(text)).toThrow(message);
  });
});

test('times are whole seconds and micro times have six digits', () => {
  const date = new Date(1_700_000_000_123);
  expect(formatTime(date)).toBe('2023-11-14T22:13:20Z');
  expect(formatMicroTime(date)).toBe('2023-11-14T22:13:20.123000Z');
  expect(parseTime('2023-11-14T22:13:20.123456Z')).toBe(1_700_000_000_123);
  expect(() => parseTime('yesterday')).toThrow('RFC 3339');
});

test.each([
  [3, 10, 'up', 3],
  ['25%', 10, 'up', 3],
  ['25%', 10, 'down', 2],
  ['0%', 10, 'up', 0],
] as const)('%s of %d rounded %s is %d', (value, total, round, expected) => {
  expect(scaledValue(value, total, round)).toBe(expected);
});

describe('names', () => {
  test('of labels and subdomains follow RFC 1123', () => {
    expect(dns1123LabelErrors('web-1')).toEqual([]);
    expect(dns1123LabelErrors('Web')).toHaveLength(1);
    expect(dns1123LabelErrors('a.b')).toEqual(['must not contain dots']);
    expect(dns1123SubdomainErrors('a.b-c.d')).toEqual([]);
    expect(dns1123SubdomainErrors('a..b')).toHaveLength(1);
    expect(dns1123LabelErrors('a'.repeat(64))).toEqual(['must be no more than 63 bytes']);
  });
  test('of label keys may carry a prefix', () => {
    expect(qualifiedNameErrors('example.com/My_name.1')).toEqual([]);
    expect(qualifiedNameErrors('/x')[0]).toBe('prefix part must be non-empty');
    expect(qualifiedNameErrors('a/b/c')).toHaveLength(1);
    expect(labelValueErrors('')).toEqual([]);
    expect(labelValueErrors('-x')).toHaveLength(1);
  });
  test('that are generated fit into a label', () => {
    expect(generateName('x'.repeat(80))).toHaveLength(63);
    expect(generateName('web-', () => 0)).toBe('web-bbbbb');
  });
});

describe('a toleration', () => {
  const taint = { key: 'a', value: '1', effect: 'NoSchedule' };
  test.each([
    [{ key: 'a', operator: 'Exists' }, true],
    [{ operator: 'Exists' }, true],
    [{ key: 'a', value: '1' }, true],
    [{ key: 'a', value: '2' }, false],
    [{ key: 'a', operator: 'Exists', effect: 'NoExecute' }, false],
    [{ key: 'b', operator: 'Exists' }, false],
    [{ key: 'a', operator: 'Gt', value: '0' }, true],
  ])('%j tolerates a=1:NoSchedule: %s', (toleration, expected) => {
    expect(toleratesTaint(toleration, taint)).toBe(expected);
  });
  test('is looked for only among the wanted effects', () => {
    expect(untoleratedTaint([{ key: 'x', effect: 'PreferNoSchedule' }], [], ['NoSchedule'])).toBeUndefined();
    expect(untoleratedTaint([taint], undefined, ['NoSchedule'])).toBe(taint);
  });
});

describe('required node affinity', () => {
  const node = { metadata: { name: 'n1', labels: { zone: 'a', cores: '8' } } };
  const term = (key: string, operator: string, values?: string[]) => ({
    containers: [],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key, operator, ...(values ? { values } : {}) }] }],
        },
      },
    },
  });
  test.each([
    [{ containers: [], nodeSelector: { zone: 'a' } }, true],
    [{ containers: [], nodeSelector: { zone: 'b' } }, false],
    [term('zone', 'In', ['a', 'b']), true],
    [term('zone', 'NotIn', ['a']), false],
    [term('cores', 'Gt', ['4']), true],
    [term('gpu', 'Exists'), false],
    [term('gpu', 'DoesNotExist'), true],
  ])('%j: %s', (spec, expected) => {
    expect(matchesRequiredNodeAffinity(spec, node)).toBe(expected);
  });
  test('on metadata.name narrows to nodes by name', () => {
    const spec = (name: string) => ({
      containers: [],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }],
          },
        },
      },
    });
    expect(matchesRequiredNodeAffinity(spec('n1'), node)).toBe(true);
    expect(matchesRequiredNodeAffinity(spec('n2'), node)).toBe(false);
    expect([...(nodeNamesOf(spec('n2')) ?? [])]).toEqual(['n2']);
  });
});

describe('what a pod requests', () => {
  const container = (cpu: string, extra: Partial<Container> = {}): Container => ({
    name: 'c',
    resources: { requests: { cpu } },
    ...extra,
  });
  const pod = (spec: Partial<Pod['spec'] & object>): Pod => ({ spec: { containers: [], ...spec } });
  test.each([
    ['the sum of its containers', pod({ containers: [container('1'), container('500m')] }), '1500m'],
    [
      'at least its largest init container',
      pod({ containers: [container('1')], initContainers: [container('3')] }),
      '3',
    ],
    [
      'its containers and sidecars',
      pod({ containers: [container('1')], initContainers: [container('1', { restartPolicy: 'Always' })] }),
      '2',
    ],
    [
      'an init container beside the sidecar before it',
      pod({
        containers: [container('1')],
        initContainers: [container('1', { restartPolicy: 'Always' }), container('3')],
      }),
      '4',
    ],
    ['with overhead', pod({ containers: [container('1')], overhead: { cpu: '250m' } }), '1250m'],
    ['what is asked at pod level', pod({ containers: [container('1')], resources: { requests: { cpu: '4' } } }), '4'],
  ])('is %s', (_, object, cpu) => {
    expect(formatResourceList(podRequests(object))).toEqual({ cpu });
  });
  test.each([
    [{}, 'BestEffort'],
    [{ requests: { cpu: '1' } }, 'Burstable'],
    [{ limits: { cpu: '1', memory: '1Gi' } }, 'Guaranteed'],
    [{ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } }, 'Burstable'],
  ])('%j makes it %s', (resources, qos) => {
    expect(qosClassOf(pod({ containers: [{ name: 'c', resources }] }))).toBe(qos);
  });
});

test('hashes are FNV-1a and safe in names', () => {
  expect(fnv1a32('')).toBe(0x811c9dc5);
  expect(fnv1a32('foobar')).toBe(0xbf9cf968);
  expect(safeEncode('aeiou')).not.toMatch(/[aeiou]/);
  expect(templateHash({ a: 1, b: 2 })).toBe(templateHash({ b: 2, a: 1 }));
  expect(templateHash({ a: 1 })).not.toBe(templateHash({ a: 1 }, 1));
});

test('a condition keeps its transition time until its status changes', () => {
  const first = withCondition(undefined, { type: 'Ready', status: 'False', reason: 'A' }, 't1');
  const same = withCondition(first, { type: 'Ready', status: 'False', reason: 'A' }, 't2');
  const reason = withCondition(first, { type: 'Ready', status: 'False', reason: 'B' }, 't2');
  const flipped = withCondition(first, { type: 'Ready', status: 'True', reason: 'B' }, 't3');
  expect(same).toBe(first);
  expect(reason[0]).toMatchObject({ reason: 'B', lastTransitionTime: 't1' });
  expect(flipped[0]).toMatchObject({ status: 'True', lastTransitionTime: 't3' });
});
