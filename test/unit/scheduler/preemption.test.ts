import { describe, expect, it } from 'vitest';
import { CycleState } from '../../../src/components/scheduler/framework/cycle-state.ts';
import type { NodeInfo } from '../../../src/components/scheduler/framework/node-info.ts';
import { podInfoOf } from '../../../src/components/scheduler/framework/pod-info.ts';
import type { Candidate } from '../../../src/components/scheduler/plugins/default-preemption/victims.ts';
import { leastHarm, victimsOn } from '../../../src/components/scheduler/plugins/default-preemption/victims.ts';
import type { Pod, PodDisruptionBudget } from '../../../src/machinery/api/types.ts';
import { node, pod, trial } from './objects.ts';

function victims(pods: Pod[], wanted: Pod, budgets: PodDisruptionBudget[] = []) {
  const { cache, profile } = trial({ nodes: [node('w1')], pods });
  const info = podInfoOf(wanted);
  const state = new CycleState();
  profile.preFilter(state, info, cache);
  const found = victimsOn(profile, state, info, cache.get('w1') as NodeInfo, budgets);
  return 'victims' in found
    ? { names: found.victims.map(({ pod: each }) => each.metadata?.name), violations: found.budgetViolations }
    : found.reasons;
}
const cpu = (name: string, amount: string, priority: number, startTime = '2026-01-01T00:00:00Z') =>
  pod(name, { node: 'w1', requests: { cpu: amount }, priority, startTime, labels: { app: name } });
const urgent = (amount: string) => pod('urgent', { requests: { cpu: amount }, priority: 100 });

describe('preemption', () => {
  it('takes as few as needed, the least important first', () => {
    const pods = [cpu('a', '2', 1), cpu('b', '1', 2), cpu('c', '1', 3)];
    expect(victims(pods, urgent('1'))).toEqual({ names: ['a'], violations: 0 });
    expect(victims(pods, urgent('3'))).toEqual({ names: ['b', 'a'], violations: 0 });
  });

  it('spares the pod that has run longer', () => {
    const pods = [cpu('old', '2', 1, '2026-01-01T00:00:00Z'), cpu('new', '2', 1, '2026-01-02T00:00:00Z')];
    expect(victims(pods, urgent('2'))).toEqual({ names: ['new'], violations: 0 });
  });

  it('spares pods that a disruption budget protects when others do', () => {
    const budget: PodDisruptionBudget = {
      metadata: { namespace: 'default' },
      spec: { selector: { matchLabels: { app: 'guarded' } } },
      status: { disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
    };
    expect(victims([cpu('guarded', '2', 1), cpu('free', '2', 1)], urgent('2'), [budget])).toEqual({
      names: ['free'],
      violations: 0,
    });
  });

  it('does not take pods of the same or a higher priority', () => {
    expect(victims([cpu('a', '4', 100)], urgent('1'))).toEqual(['No preemption victims found for incoming pod']);
    expect(victims([cpu('a', '3', 100), cpu('b', '1', 1)], urgent('2'))).toEqual(['Insufficient cpu']);
  });

  it('chooses the node where it hurts least', () => {
    const candidate = (nodeName: string, priorities: number[], budgetViolations = 0): Candidate => ({
      nodeName,
      budgetViolations,
      victims: priorities.map((priority, i) => podInfoOf(cpu(`${nodeName}-${i}`, '1', priority))),
    });
    const table: [Candidate[], string][] = [
      [[candidate('budget', [1], 1), candidate('plain', [9])], 'plain'],
      [[candidate('high', [9]), candidate('low', [1, 1])], 'low'],
      [[candidate('two', [5, 1]), candidate('one', [5])], 'one'],
    ];
    for (const [candidates, expected] of table) expect(leastHarm(candidates)?.nodeName).toBe(expected);
  });
});
