/** Defaults of horizontal pod autoscalers and of scaling behaviour. */
import { ensureObject, type Fields, hasObject, isUnset, setDefault } from './fields.ts';

const scaleUp = () => ({
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
});
const scaleDown = () => ({
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
});

function defaultAutoscaler(autoscaler: Fields): void {
  const spec = ensureObject(autoscaler, 'spec');
  setDefault(spec, 'minReplicas', 1);
  if (!Array.isArray(spec['metrics']) || spec['metrics'].length === 0) {
    spec['metrics'] = [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
    ];
  }
  if (!hasObject(spec, 'behavior')) return;
  const behavior = ensureObject(spec, 'behavior');
  for (const [field, defaults] of [
    ['scaleUp', scaleUp()],
    ['scaleDown', scaleDown()],
  ] as const) {
    const rules = ensureObject(behavior, field);
    for (const [key, value] of Object.entries(defaults)) if (isUnset(rules[key])) rules[key] = value;
  }
}

export const autoscalingDefaults: Record<string, (object: Fields) => void> = {
  'autoscaling/v1/HorizontalPodAutoscaler': (autoscaler) =>
    setDefault(ensureObject(autoscaler, 'spec'), 'minReplicas', 1),
  'autoscaling/v2/HorizontalPodAutoscaler': defaultAutoscaler,
};
