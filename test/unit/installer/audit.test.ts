/** The audit policy that kinit writes: what it keeps, what it leaves out, and that no content of a secret ever gets in. */
import { describe, expect, it } from 'vitest';
import { decide, parsePolicy } from '../../../src/components/apiserver/audit/policy.ts';
import { requestInfo } from '../../../src/components/apiserver/server/request-info.ts';
import { renderTemplate } from '../../../src/installer/config/templates.ts';

const policy = parsePolicy(renderTemplate('audit-policy.yaml', {}));
const people = { name: 'ann', groups: ['system:authenticated'] };
const node = { name: 'system:node:w1', groups: ['system:nodes', 'system:authenticated'] };
const controller = { name: 'system:kube-controller-manager', groups: ['system:authenticated'] };
const anybody = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

describe("kinit's audit policy", () => {
  it.each([
    ['GET', '/api/v1/namespaces/a/secrets/s', people, 'Metadata'],
    ['PUT', '/api/v1/namespaces/a/secrets/s', people, 'Metadata'],
    ['GET', '/api/v1/namespaces/a/secrets/s', node, 'Metadata'],
    ['GET', '/api/v1/secrets', controller, 'Metadata'],
    ['POST', '/api/v1/namespaces/a/serviceaccounts/b/token', node, 'Metadata'],
    ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', node, 'Metadata'],
    ['POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', people, 'Request'],
    ['GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles', people, 'Metadata'],
    ['POST', '/api/v1/namespaces/a/pods/p/exec', people, 'Metadata'],
    ['GET', '/api/v1/pods', people, 'Metadata'],
    ['GET', '/api/v1/pods', anybody, 'Metadata'],
    ['GET', '/api/v1/pods', node, 'None'],
    ['POST', '/api/v1/namespaces/a/pods', controller, 'Metadata'],
    ['PATCH', '/api/v1/nodes/w1/status', node, 'None'],
    ['PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/w1', node, 'None'],
    ['POST', '/api/v1/namespaces/a/events', controller, 'None'],
    ['GET', '/readyz', anybody, 'None'],
    ['GET', '/apis/apps/v1', people, 'None'],
  ])('%s %s of %o: %s', (method, path, user, level) => {
    expect(decide(policy, requestInfo(method, new URL(path, 'https://x')), user).level).toBe(level);
  });

  it('never takes the body of an answer, nor any of a request for secrets', () => {
    expect(policy.rules.map(({ level }) => level)).not.toContain('RequestResponse');
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
      for (const user of [people, node, controller, anybody])
        expect(['None', 'Metadata']).toContain(
          decide(policy, requestInfo(method, new URL('/api/v1/namespaces/a/secrets', 'https://x')), user).level,
        );
  });
});
