import { describe, expect, it } from 'vitest';
import { addressOf } from '../../../src/components/apiserver/admission/webhooks/call.ts';
import type { Rule, Webhook } from '../../../src/components/apiserver/admission/webhooks/configuration.ts';
import {
  matchedVersion,
  matchesRule,
  matchesSelectors,
  meetsConditions,
} from '../../../src/components/apiserver/admission/webhooks/matching.ts';
import { denial, readReview, reviewRequest } from '../../../src/components/apiserver/admission/webhooks/review.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import { webhookConfigurationErrors } from '../../../src/components/apiserver/validation/webhooks.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { attributesOf, cluster } from './cluster.ts';

const pod: UnknownObject = {
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name: 'p', namespace: 'shop', labels: { app: 'web' } },
};
const creation = attributesOf({ resource: 'pods' }, pod);
const rule = (change: Rule = {}): Rule => ({
  operations: ['CREATE'],
  apiGroups: [''],
  apiVersions: ['v1'],
  resources: ['pods'],
  ...change,
});
const hook = (change: Partial<Webhook> = {}): Webhook => ({ name: 'a.example.com', clientConfig: {}, ...change });

describe('a rule of a webhook', () => {
  it.each<[string, Rule, boolean]>([
    ['names the operation', rule(), true],
    ['names another operation', rule({ operations: ['UPDATE', 'DELETE'] }), false],
    ['names everything', rule({ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }), true],
    ['names all resources', rule({ resources: ['*'] }), true],
    ['names a subresource', rule({ resources: ['pods/status'] }), false],
    ['names all of a resource', rule({ resources: ['pods/*'] }), true],
    ['names another group', rule({ apiGroups: ['apps'] }), false],
    ['names cluster-wide ones', rule({ scope: 'Cluster' }), false],
    ['names namespaced ones', rule({ scope: 'Namespaced' }), true],
  ])('%s', (_, given, expected) => {
    expect(matchesRule(given, creation.descriptor, creation)).toBe(expected);
  });

  it('about another version of the resource counts, unless it is to be exact', () => {
    const { deps } = cluster({});
    const registry = createRegistry();
    const autoscalers = { group: 'autoscaling', version: 'v2', resource: 'horizontalpodautoscalers' };
    const attributes = attributesOf(autoscalers, { metadata: { name: 'h' } });
    const rules = [rule({ apiGroups: ['autoscaling'], apiVersions: ['v1'], resources: [autoscalers.resource] })];
    const found = (matchPolicy: 'Exact' | 'Equivalent') =>
      matchedVersion(hook({ rules, matchPolicy }), attributes, { ...deps, registry })?.version;
    expect([found('Equivalent'), found('Exact')]).toEqual(['v1', undefined]);
  });
});

describe('the selectors of a webhook', () => {
  const { deps } = cluster({ 'namespaces//shop': { metadata: { name: 'shop', labels: { team: 'a' } } } });
  it.each<[string, Partial<Webhook>, boolean]>([
    ['that are empty', { namespaceSelector: {}, objectSelector: {} }, true],
    ['on the namespace', { namespaceSelector: { matchLabels: { team: 'a' } } }, true],
    ['on another namespace', { namespaceSelector: { matchLabels: { team: 'b' } } }, false],
    ['on the object', { objectSelector: { matchLabels: { app: 'web' } } }, true],
    ['on another object', { objectSelector: { matchExpressions: [{ key: 'app', operator: 'DoesNotExist' }] } }, false],
  ])('%s', async (_, selectors, expected) => {
    expect(await matchesSelectors(hook(selectors), creation, deps)).toBe(expected);
  });
});

describe('the conditions of a webhook', () => {
  const meets = (...expressions: string[]) =>
    meetsConditions(
      hook({ matchConditions: expressions.map((expression, i) => ({ name: `c${i}`, expression })) }),
      reviewRequest(creation, creation.descriptor),
      creation,
    );
  it('speak about object and request', () => {
    expect(meets("object.metadata.labels.app == 'web'", "request.operation == 'CREATE'")).toBe(true);
    expect(meets("request.userInfo.username != 'me'")).toBe(false);
    expect(meets("request.resource.resource == 'pods' && oldObject == null")).toBe(true);
  });
  it('that cannot be evaluated count only when no other one is false', () => {
    expect(() => meets('object.missing == 1')).toThrow('c0: ');
    expect(meets('object.missing == 1', 'false')).toBe(false);
  });
});

describe('the address of a webhook', () => {
  const service = {
    metadata: { name: 's', namespace: 'n' },
    spec: { clusterIP: '10.96.0.9', ports: [{ port: 8443 }] },
  };
  const { deps } = cluster({ 'services/n/s': service as UnknownObject });
  it('is its service at the cluster IP, under the name of the service', () => {
    const { url, ...where } = addressOf(
      { service: { namespace: 'n', name: 's', path: '/check', port: 8443 } },
      deps.cache,
    );
    expect(url.href).toBe('https://s.n.svc:8443/check');
    expect(where).toEqual({ host: '10.96.0.9', port: 8443, serverName: 's.n.svc' });
  });
  it.each([
    [{ namespace: 'n', name: 'other' }, 'service "other" not found'],
    [{ namespace: 'n', name: 's' }, 'no service port 443 found for service "s"'],
  ])('needs a service', (given, why) => {
    expect(() => addressOf({ service: given }, deps.cache)).toThrow(why);
  });
});

describe('the answer of a webhook', () => {
  const review = (response: object) =>
    JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', response });
  it('carries a patch and warnings', () => {
    const patch = [{ op: 'add', path: '/a', value: 1 }];
    const answer = {
      uid: 'u',
      allowed: true,
      warnings: ['w'],
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    };
    expect(readReview(review(answer), 'v1', 'u')).toEqual({ allowed: true, warnings: ['w'], patch });
  });
  it.each([
    [review({ uid: 'x', allowed: true }), 'expected response.uid="u", got "x"'],
    [review({ uid: 'u', allowed: true, patch: 'W10=' }), 'webhook returned response.patch but not response.patchType'],
    ['{"kind":"Status"}', 'expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got , Kind=Status'],
  ])('that is none is told', (body, why) => {
    expect(() => readReview(body, 'v1', 'u')).toThrow(why);
  });
  it.each([
    [{ message: 'no' }, 'admission webhook "a.b.c" denied the request: no', 400],
    [{ reason: 'Because', code: 403 }, 'admission webhook "a.b.c" denied the request: Because', 403],
    [undefined, 'admission webhook "a.b.c" denied the request without explanation', 400],
  ])('that says no', (status, message, code) => {
    const error = denial('a.b.c', status as never);
    expect([error.message, error.code]).toEqual([message, code]);
  });
});

it('a webhook configuration names what it needs', () => {
  const errors = webhookConfigurationErrors({
    webhooks: [{ name: 'short', clientConfig: {}, rules: [{}] }],
  } as unknown as UnknownObject);
  expect(errors.map(({ field, message }) => `${field}: ${message}`)).toEqual([
    'webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots',
    'webhooks[0].rules[0].operations: Required value',
    'webhooks[0].rules[0].apiGroups: Required value',
    'webhooks[0].rules[0].apiVersions: Required value',
    'webhooks[0].rules[0].resources: Required value',
    'webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun',
    'webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1',
    'webhooks[0].clientConfig: Required value: exactly one of url or service is required',
  ]);
});

it('a webhook configuration has conditions that can be evaluated', () => {
  const conditions = (expression: string) =>
    webhookConfigurationErrors({
      webhooks: [
        hook({
          clientConfig: { url: 'https://example.com' },
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          matchConditions: [{ name: 'c', expression }],
        }),
      ],
    } as unknown as UnknownObject).map(({ field, message }) => `${field}: ${message}`);
  expect(conditions("object.kind == 'Pod'")).toEqual([]);
  for (const bad of ['nothing.kind == 1', '=='])
    expect(conditions(bad).join()).toMatch(
      /^webhooks\[0\]\.matchConditions\[0\]\.expression: Invalid value: .*: compilation failed: /,
    );
});
