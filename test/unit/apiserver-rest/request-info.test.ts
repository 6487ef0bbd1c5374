import { describe, expect, test } from 'vitest';
import { requestInfo } from '../../../src/components/apiserver/server/request-info.ts';

describe('what a request means', () => {
  test.each([
    ['GET', '/api/v1/pods', { verb: 'list', resource: 'pods', namespace: '' }],
    ['GET', '/api/v1/pods?watch=true', { verb: 'watch', resource: 'pods' }],
    ['GET', '/api/v1/pods?watch=false', { verb: 'list' }],
    ['GET', '/api/v1/namespaces/a/pods/b', { verb: 'get', resource: 'pods', namespace: 'a', name: 'b' }],
    ['GET', '/api/v1/namespaces/a/pods/b/log', { verb: 'get', subresource: 'log', name: 'b' }],
    ['GET', '/api/v1/namespaces/a', { verb: 'get', resource: 'namespaces', namespace: 'a', name: 'a' }],
    ['PUT', '/api/v1/namespaces/a/finalize', { verb: 'update', resource: 'namespaces', subresource: 'finalize' }],
    ['GET', '/api/v1/namespaces', { verb: 'list', resource: 'namespaces', namespace: '' }],
    [
      'DELETE',
      '/apis/apps/v1/namespaces/a/deployments',
      { verb: 'deletecollection', apiGroup: 'apps', apiVersion: 'v1' },
    ],
    ['POST', '/apis/apps/v1/namespaces/a/deployments', { verb: 'create', resource: 'deployments' }],
    ['PATCH', '/apis/apps/v1/namespaces/a/deployments/b/scale', { verb: 'patch', subresource: 'scale' }],
    ['GET', '/api/v1/watch/namespaces/a/pods', { verb: 'watch', resource: 'pods', namespace: 'a' }],
    [
      'GET',
      '/api/v1/namespaces/a/services/x:http/proxy/some/path',
      { subresource: 'proxy', name: 'x:http', rest: ['some', 'path'] },
    ],
  ])('%s %s', (method, path, expected) => {
    expect(requestInfo(method, new URL(`https://x${path}`))).toMatchObject({ isResourceRequest: true, ...expected });
  });
  test.each([
    ['GET', '/', 'get'],
    ['GET', '/api', 'get'],
    ['GET', '/apis/apps/v1', 'get'],
    ['POST', '/healthz', 'post'],
  ])('%s %s is no resource', (method, path, verb) => {
    expect(requestInfo(method, new URL(`https://x${path}`))).toMatchObject({ isResourceRequest: false, verb, path });
  });
});
