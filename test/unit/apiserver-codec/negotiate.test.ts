import { describe, expect, it } from 'vitest';
import { negotiate } from '../../../src/components/apiserver/codec/negotiate.ts';

const protobuf = 'application/vnd.kubernetes.protobuf';
const table = 'as=Table;v=v1;g=meta.k8s.io';
const partial = 'as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';

describe('content negotiation', () => {
  it.each<[string, string | undefined, boolean, object]>([
    ['nothing', undefined, false, { mediaType: 'application/json' }],
    ['anything', '*/*', false, { mediaType: 'application/json' }],
    [
      'protobuf first',
      `${protobuf},application/json`,
      false,
      { mediaType: protobuf, streamContentType: `${protobuf};stream=watch` },
    ],
    ['protobuf first, of a custom resource', `${protobuf},application/json`, true, { mediaType: 'application/json' }],
    [
      'metadata in protobuf, of a custom resource',
      `${protobuf};${partial}`,
      true,
      { mediaType: protobuf, as: 'PartialObjectMetadataList' },
    ],
    [
      'a table',
      `application/json;${table},application/json`,
      false,
      { mediaType: 'application/json', as: 'Table', asVersion: 'v1' },
    ],
    [
      'a table in protobuf or JSON',
      `${protobuf};${table},application/json;${table}`,
      false,
      { mediaType: 'application/json', as: 'Table' },
    ],
    ['the better of two', 'application/yaml;q=0.9,application/json;q=0.1', false, { mediaType: 'application/yaml' }],
  ])('serves %s', (_what, accept, isCustom, expected) => {
    expect(negotiate(accept, null, '', isCustom)).toMatchObject(expected);
  });

  it.each([
    ['text/html', false, 'application/json, application/yaml, application/vnd.kubernetes.protobuf'],
    [protobuf, true, 'application/json, application/yaml'],
  ])('refuses %s alone with 406 (custom resource: %s)', (accept, isCustom, accepted) => {
    expect(() => negotiate(accept, null, '', isCustom)).toThrow(
      expect.objectContaining({ code: 406, message: `only the following media types are accepted: ${accepted}` }),
    );
  });

  it.each([
    [null, 'curl/8.0', true],
    [null, 'kubectl/v1.36.2', false],
    ['true', 'kubectl/v1.36.2', true],
    ['false', 'curl/8.0', false],
  ])('with pretty=%s indents for %s: %s', (pretty, userAgent, indented) => {
    expect(negotiate('application/json', pretty, userAgent).pretty).toBe(indented);
  });
});
