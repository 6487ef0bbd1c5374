import { describe, expect, test } from 'vitest';
import { toServed, toStored } from '../../../src/components/apiserver/conversion/conversion.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import type { ResourceDescriptor } from '../../../src/components/apiserver/types.ts';

const registry = createRegistry();
const descriptor = (group: string, version: string, resource: string) =>
  registry.find(group, version, resource) as ResourceDescriptor;

describe('versions that are not the stored one', () => {
  test('an event of events.k8s.io lies in etcd as one of the core group, and comes back the same', () => {
    const events = descriptor('events.k8s.io', 'v1', 'events');
    const event = {
      kind: 'Event',
      apiVersion: 'events.k8s.io/v1',
      metadata: { namespace: 'a', name: 'e' },
      regarding: { kind: 'Pod', name: 'p' },
      note: 'said',
      reportingController: 'me',
      deprecatedCount: 3,
    };
    const stored = toStored(events, event);
    expect(stored).toMatchObject({
      apiVersion: 'v1',
      involvedObject: { name: 'p' },
      message: 'said',
      reportingComponent: 'me',
      count: 3,
    });
    expect(toServed(events, stored)).toMatchObject(event);
  });

  test('an autoscaler of v1 keeps what only v2 can say', () => {
    const v1 = descriptor('autoscaling', 'v1', 'horizontalpodautoscalers');
    const stored = {
      kind: 'HorizontalPodAutoscaler',
      apiVersion: 'autoscaling/v2',
      metadata: { name: 'h' },
      spec: {
        maxReplicas: 3,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
          { type: 'Resource', resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 70 } } },
        ],
        behavior: { scaleDown: { selectPolicy: 'Disabled' } },
      },
    };
    const served = toServed(v1, stored);
    expect(served).toMatchObject({
      apiVersion: 'autoscaling/v1',
      spec: { targetCPUUtilizationPercentage: 50, maxReplicas: 3 },
    });
    expect(toStored(v1, served)).toMatchObject({ spec: stored.spec });
  });
});
