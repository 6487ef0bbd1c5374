import { describe, expect, it } from 'vitest';
import { validatingPolicies } from '../../../src/components/apiserver/admission/policies/validating-policies.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { attributesOf, cluster, run } from './cluster.ts';

const deployments = { group: 'apps', resource: 'deployments' };
const deployment = (replicas: number): UnknownObject =>
  ({
    metadata: { name: 'd', namespace: 'shop', labels: { app: 'web' } },
    spec: { replicas },
  }) as unknown as UnknownObject;
const matchConstraints = {
  resourceRules: [{ operations: ['CREATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] }],
};

/** Runs the policy `p` under the binding `b` on a new deployment; answers the refusal and the warnings. */
async function outcome(replicas: number, policy: object, binding: object = {}, params: object = {}) {
  const { deps } = cluster({
    'validatingadmissionpolicies//p': { spec: { matchConstraints, ...policy } } as unknown as UnknownObject,
    'validatingadmissionpolicybindings//b': {
      metadata: { name: 'b' },
      spec: { policyName: 'p', validationActions: ['Deny'], ...binding },
    } as unknown as UnknownObject,
    'namespaces//shop': { metadata: { name: 'shop', labels: { size: 'small' } } },
    ...params,
  });
  const attributes = attributesOf(deployments, deployment(replicas));
  const refusal = await run(validatingPolicies({ ...deps, registry: createRegistry() }), attributes);
  return { refusal, warnings: attributes.warnings };
}

const few = { validations: [{ expression: 'object.spec.replicas <= 5' }] };
const denied = `deployments.apps "d" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: `;

describe('an admission policy', () => {
  it('lets in what its expressions allow, and no more', async () => {
    expect((await outcome(5, few)).refusal).toBe('');
    expect((await outcome(6, few)).refusal).toBe(`${denied}failed expression: object.spec.replicas <= 5`);
  });

  it('words its refusal', async () => {
    const worded = {
      validations: [{ expression: 'false', messageExpression: "'not ' + string(object.spec.replicas)" }],
    };
    expect((await outcome(6, worded)).refusal).toBe(`${denied}not 6`);
  });

  it('only warns when it is bound so', async () => {
    expect(await outcome(6, few, { validationActions: ['Warn', 'Audit'] })).toEqual({
      refusal: '',
      warnings: [
        `Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': failed expression: object.spec.replicas <= 5`,
      ],
    });
  });

  it.each<[string, object, object]>([
    [
      'of other resources',
      { ...few, matchConstraints: { resourceRules: [{ ...matchConstraints.resourceRules[0], resources: ['pods'] }] } },
      {},
    ],
    ['of other objects', few, { matchResources: { objectSelector: { matchLabels: { app: 'other' } } } }],
    ['of other namespaces', few, { matchResources: { namespaceSelector: { matchLabels: { size: 'large' } } } }],
    [
      'under other conditions',
      { ...few, matchConditions: [{ name: 'c', expression: "request.userInfo.username == 'you'" }] },
      {},
    ],
    [
      'that is excluded',
      { ...few, matchConstraints: { ...matchConstraints, excludeResourceRules: matchConstraints.resourceRules } },
      {},
    ],
  ])('leaves alone a write %s', async (_, policy, binding) => {
    expect((await outcome(6, policy, binding)).refusal).toBe('');
  });

  it('knows variables, the namespace and parameters', async () => {
    const policy = {
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      variables: [
        { name: 'limit', expression: "'limit' in params.data ? int(params.data.limit) : 1" },
        { name: 'small', expression: "namespaceObject.metadata.labels.size == 'small'" },
      ],
      validations: [{ expression: '!variables.small || object.spec.replicas <= variables.limit' }],
    };
    const params = { 'configmaps/shop/limits': { data: { limit: '3' } } };
    const bound = { paramRef: { name: 'limits', parameterNotFoundAction: 'Deny' } };
    expect((await outcome(3, policy, bound, params)).refusal).toBe('');
    expect((await outcome(4, policy, bound, params)).refusal).toContain('failed expression');
    expect((await outcome(1, policy, bound)).refusal).toContain('no params found for policy binding');
  });

  it('that fails refuses, unless its failure is ignored', async () => {
    const broken = { validations: [{ expression: 'object.spec.missing == 1' }] };
    expect((await outcome(1, broken)).refusal).toContain("expression 'object.spec.missing == 1' resulted in error: ");
    expect((await outcome(1, { ...broken, failurePolicy: 'Ignore' })).refusal).toBe('');
  });
});
