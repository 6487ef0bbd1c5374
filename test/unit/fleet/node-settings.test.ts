/** What becomes of a node's labels, annotations and taints. */
import { describe, expect, it } from 'vitest';
import { appliedAnnotation, type NodeSettings, nodeDifference } from '../../../src/installer/fleet/node-settings.ts';
import type { Node } from '../../../src/machinery/api/types.ts';

const none: NodeSettings = { labels: {}, annotations: {}, taints: [] };
const batch = { key: 'dedicated', value: 'batch', effect: 'NoSchedule' } as const;
const foreign = { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' } as const;
const applied = (lists: Partial<Record<'labels' | 'annotations' | 'taints', string[]>>) =>
  JSON.stringify({ labels: [], annotations: [], taints: [], ...lists });

const nodeOf = (labels: Record<string, string>, annotation?: string, taints: object[] = []): Node =>
  ({
    metadata: {
      name: 'w1',
      resourceVersion: '7',
      labels: { 'kubernetes.io/hostname': 'w1', ...labels },
      annotations: { foreign: 'x', ...(annotation === undefined ? {} : { [appliedAnnotation]: annotation }) },
    },
    spec: { taints },
  }) as Node;

describe('labels, annotations and taints of a node', () => {
  it.each<[string, Node, Partial<NodeSettings>, boolean, { patch?: object; changes: string[]; leftovers: string[] }]>([
    ['that are as they should be are left alone', nodeOf({}, applied({})), {}, false, { changes: [], leftovers: [] }],
    [
      'that are there already are remembered, and nothing else happens',
      nodeOf({ disk: 'ssd' }),
      { labels: { disk: 'ssd' } },
      false,
      {
        patch: { metadata: { labels: {}, annotations: { [appliedAnnotation]: applied({ labels: ['disk'] }) } } },
        changes: [],
        leftovers: [],
      },
    ],
    [
      'that differ are changed, others stay',
      nodeOf({ disk: 'hdd', mine: '1' }, applied({ labels: ['disk'] })),
      { labels: { disk: 'ssd' }, annotations: { team: 'a b' } },
      false,
      {
        patch: {
          metadata: {
            labels: { disk: 'ssd' },
            annotations: {
              team: 'a b',
              [appliedAnnotation]: applied({ labels: ['disk'], annotations: ['team'] }),
            },
          },
        },
        changes: ['label disk=ssd', 'annotation team=a b'],
        leftovers: [],
      },
    ],
    [
      'that are not given any more are told, and remembered',
      nodeOf({ disk: 'ssd' }, applied({ labels: ['disk'], taints: ['dedicated:NoSchedule'] }), [batch]),
      {},
      false,
      { changes: [], leftovers: ['label disk=ssd', 'taint dedicated=batch:NoSchedule'] },
    ],
    [
      'that are not given any more go when told so; those of others stay',
      nodeOf({ disk: 'ssd', mine: '1' }, applied({ labels: ['disk'], taints: ['dedicated:NoSchedule'] }), [
        batch,
        foreign,
      ]),
      {},
      true,
      {
        patch: {
          metadata: {
            resourceVersion: '7',
            labels: { disk: null },
            annotations: { [appliedAnnotation]: applied({}) },
          },
          spec: { taints: [foreign] },
        },
        changes: ['label disk removed', 'taint dedicated=batch:NoSchedule removed'],
        leftovers: [],
      },
    ],
    [
      'that somebody else has set are never taken away',
      nodeOf({ mine: '1' }, applied({}), [foreign]),
      {},
      true,
      { changes: [], leftovers: [] },
    ],
    [
      'that somebody has taken away already are forgotten',
      nodeOf({}, applied({ labels: ['disk'] })),
      {},
      false,
      {
        patch: { metadata: { labels: {}, annotations: { [appliedAnnotation]: applied({}) } } },
        changes: [],
        leftovers: [],
      },
    ],
    [
      'with another value are replaced in the list of taints',
      nodeOf({}, applied({ taints: ['dedicated:NoSchedule'] }), [{ ...batch, value: 'web' }, foreign]),
      { taints: [batch] },
      false,
      {
        patch: {
          metadata: { resourceVersion: '7', labels: {}, annotations: {} },
          spec: { taints: [foreign, batch] },
        },
        changes: ['taint dedicated=batch:NoSchedule'],
        leftovers: [],
      },
    ],
    [
      'are nobody’s when what is remembered cannot be read',
      nodeOf({ disk: 'ssd' }, 'no JSON'),
      {},
      true,
      {
        patch: { metadata: { labels: {}, annotations: { [appliedAnnotation]: applied({}) } } },
        changes: [],
        leftovers: [],
      },
    ],
  ])('%s', (_, node, wanted, prune, expected) => {
    expect(nodeDifference(node, { ...none, ...wanted }, prune)).toEqual(expected);
  });
});
