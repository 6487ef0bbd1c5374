/** Defaults of webhooks and of admission policies. */
import { ensureObject, type Fields, hasObject, listAt, objectAt, setDefault, setDefaults } from './fields.ts';

function defaultRules(owner: Fields, field: string): void {
  for (const rule of listAt(owner, field)) setDefault(rule, 'scope', '*');
}

function defaultWebhook(webhook: Fields): void {
  setDefaults(webhook, { failurePolicy: 'Fail', matchPolicy: 'Equivalent' });
  setDefault(webhook, 'namespaceSelector', {});
  setDefault(webhook, 'objectSelector', {});
  setDefault(webhook, 'timeoutSeconds', 10);
  defaultRules(webhook, 'rules');
  const client = objectAt(webhook, 'clientConfig');
  if (hasObject(client, 'service')) setDefault(objectAt(client, 'service'), 'port', 443);
}

function defaultMatch(owner: Fields, field: string): void {
  if (!hasObject(owner, field)) return;
  const match = objectAt(owner, field);
  setDefault(match, 'matchPolicy', 'Equivalent');
  setDefault(match, 'namespaceSelector', {});
  setDefault(match, 'objectSelector', {});
  defaultRules(match, 'resourceRules');
  defaultRules(match, 'excludeResourceRules');
}

function defaultPolicy(policy: Fields): void {
  const spec = ensureObject(policy, 'spec');
  setDefault(spec, 'failurePolicy', 'Fail');
  defaultMatch(spec, 'matchConstraints');
}

const group = 'admissionregistration.k8s.io/v1';
export const admissionregistrationDefaults: Record<string, (object: Fields) => void> = {
  [`${group}/MutatingAdmissionPolicy`]: defaultPolicy,
  [`${group}/MutatingAdmissionPolicyBinding`]: (binding) => defaultMatch(objectAt(binding, 'spec'), 'matchResources'),
  [`${group}/MutatingWebhookConfiguration`]: (configuration) => {
    for (const webhook of listAt(configuration, 'webhooks')) {
      defaultWebhook(webhook);
      setDefault(webhook, 'reinvocationPolicy', 'Never');
    }
  },
  [`${group}/ValidatingAdmissionPolicy`]: defaultPolicy,
  [`${group}/ValidatingAdmissionPolicyBinding`]: (binding) => defaultMatch(objectAt(binding, 'spec'), 'matchResources'),
  [`${group}/ValidatingWebhookConfiguration`]: (configuration) => {
    for (const webhook of listAt(configuration, 'webhooks')) defaultWebhook(webhook);
  },
};
