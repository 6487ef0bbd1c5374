import { describe, expect, test } from 'vitest';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import { matchesFieldRequirements, parseFields } from '../../../src/components/apiserver/rest/fields.ts';
import type { ResourceDescriptor } from '../../../src/components/apiserver/types.ts';

const registry = createRegistry();
const pods = registry.find('', 'v1', 'pods') as ResourceDescriptor;
const nodes = registry.find('', 'v1', 'nodes') as ResourceDescriptor;
const pod = { metadata: { name: 'p', namespace: 'a' }, spec: { nodeName: 'n1' }, status: { phase: 'Running' } };

describe('field selectors', () => {
  test.each([
    ['spec.nodeName=n1', true],
    ['spec.nodeName!=n1', false],
    ['spec.nodeName=', false],
    ['status.phase=Running,metadata.namespace=a', true],
    ['status.phase!=Failed,status.phase!=Succeeded', true],
    ['spec.hostNetwork=false', true],
    ['status.nominatedNodeName=', true],
  ])('%s', (text, expected) => {
    expect(matchesFieldRequirements(parseFields(pods, text), pod)).toBe(expected);
  });
  test.each([
    [pods, 'spec.foo=x', 'field label not supported: spec.foo'],
    [nodes, 'metadata.namespace=x', 'field label not supported: metadata.namespace'],
  ])('refuses fields that a kind does not offer', (descriptor, text, message) => {
    expect(() => parseFields(descriptor, text)).toThrow(message);
  });
});
