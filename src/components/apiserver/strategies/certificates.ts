/** Certificate signing requests carry who asked; approval and status change one half of the conditions each. */
import { formatTime } from '../../../machinery/api/time.ts';
import type { CertificateSigningRequest, UnknownObject } from '../../../machinery/api/types.ts';
import { type Strategy, type StrategyContext, section } from './strategy.ts';

type Conditions = NonNullable<NonNullable<CertificateSigningRequest['status']>['conditions']>;

const conditionsOf = (object: UnknownObject): Conditions =>
  (object as CertificateSigningRequest).status?.conditions ?? [];
const isDecision = ({ type }: Conditions[number]) => type === 'Approved' || type === 'Denied';

/** New conditions get their times; those that were there keep them. */
function dated(conditions: Conditions, old: Conditions, now: Date): Conditions {
  return conditions.map((condition) => {
    const known = old.find(({ type, status }) => type === condition.type && status === condition.status);
    return {
      ...condition,
      lastUpdateTime: condition.lastUpdateTime ?? formatTime(now),
      lastTransitionTime: condition.lastTransitionTime ?? known?.lastTransitionTime ?? formatTime(now),
    };
  });
}

export const certificateSigningRequests: Strategy = {
  prepareForCreate(object, { user }) {
    const spec = section(object, 'spec');
    for (const field of ['username', 'uid', 'groups', 'extra']) delete spec[field];
    spec['username'] = user.name;
    if (user.uid) spec['uid'] = user.uid;
    if (user.groups.length) spec['groups'] = user.groups;
    if (user.extra && Object.keys(user.extra).length) spec['extra'] = user.extra;
    object['status'] = {};
  },
  prepareForUpdate(next, old) {
    next['spec'] = old['spec'];
  },
  prepareSubresource: {
    approval(next: UnknownObject, old: UnknownObject, { now }: StrategyContext) {
      const decisions = conditionsOf(next).filter(isDecision);
      const others = conditionsOf(old).filter((condition) => !isDecision(condition));
      next['spec'] = old['spec'];
      const conditions = dated([...decisions, ...others], conditionsOf(old), now);
      next['status'] = { ...(old['status'] as object), ...(conditions.length ? { conditions } : {}) };
    },
    status(next: UnknownObject, old: UnknownObject, { now }: StrategyContext) {
      const decisions = conditionsOf(old).filter(isDecision);
      const others = conditionsOf(next).filter((condition) => !isDecision(condition));
      next['spec'] = old['spec'];
      const conditions = dated([...decisions, ...others], conditionsOf(old), now);
      next['status'] = { ...(next['status'] as object), ...(conditions.length ? { conditions } : {}) };
    },
  },
};
