/** Defaults of custom resource definitions, API services, token requests and flow control. */
import { ensureObject, type Fields, hasObject, objectAt, setDefault } from './fields.ts';

function defaultCustomResourceDefinition(definition: Fields): void {
  const spec = ensureObject(definition, 'spec');
  const names = objectAt(spec, 'names');
  const kind = String(names['kind'] ?? '');
  if (kind) {
    setDefault(names, 'singular', kind.toLowerCase(), '');
    setDefault(names, 'listKind', `${kind}List`, '');
  }
  const conversion = ensureObject(spec, 'conversion');
  setDefault(conversion, 'strategy', 'None', '');
  const client = objectAt(objectAt(conversion, 'webhook'), 'clientConfig');
  if (hasObject(client, 'service')) setDefault(objectAt(client, 'service'), 'port', 443);
}

function defaultFlowSchema(flowSchema: Fields): void {
  setDefault(ensureObject(flowSchema, 'spec'), 'matchingPrecedence', 1000, 0);
}

function defaultPriorityLevel(level: Fields): void {
  const spec = ensureObject(level, 'spec');
  if (hasObject(spec, 'exempt')) {
    setDefault(objectAt(spec, 'exempt'), 'nominalConcurrencyShares', 0);
    setDefault(objectAt(spec, 'exempt'), 'lendablePercent', 0);
  }
  if (!hasObject(spec, 'limited')) return;
  const limited = objectAt(spec, 'limited');
  setDefault(limited, 'nominalConcurrencyShares', 30);
  setDefault(limited, 'lendablePercent', 0);
  const response = objectAt(limited, 'limitResponse');
  if (!hasObject(response, 'queuing')) return;
  const queuing = objectAt(response, 'queuing');
  setDefault(queuing, 'queues', 64, 0);
  setDefault(queuing, 'handSize', 8, 0);
  setDefault(queuing, 'queueLengthLimit', 50, 0);
}

export const extensionsDefaults: Record<string, (object: Fields) => void> = {
  'apiextensions.k8s.io/v1/CustomResourceDefinition': defaultCustomResourceDefinition,
  'apiregistration.k8s.io/v1/APIService': (service) => {
    const spec = objectAt(service, 'spec');
    if (hasObject(spec, 'service')) setDefault(objectAt(spec, 'service'), 'port', 443);
  },
  'authentication.k8s.io/v1/TokenRequest': (request) =>
    setDefault(ensureObject(request, 'spec'), 'expirationSeconds', 3600),
  'flowcontrol.apiserver.k8s.io/v1/FlowSchema': defaultFlowSchema,
  'flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration': defaultPriorityLevel,
};
