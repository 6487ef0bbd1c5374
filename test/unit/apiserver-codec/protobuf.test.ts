import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeBody } from '../../../src/components/apiserver/codec/decode.ts';
import { encodeObject, encodeWatchFrame } from '../../../src/components/apiserver/codec/encode.ts';
import { Reader, ReverseWriter } from '../../../src/components/apiserver/codec/protobuf/wire.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const mediaType = 'application/vnd.kubernetes.protobuf';
const encode = (object: unknown) => encodeObject(object as UnknownObject, { mediaType, pretty: false });

function target(apiVersion: string, kind: string) {
  const [group, version] = apiVersion.includes('/') ? (apiVersion.split('/') as [string, string]) : ['', apiVersion];
  return { group, version, kind };
}

/** Through protobuf and back. */
function roundTrip(object: { apiVersion: string; kind: string }): unknown {
  return decodeBody(encode(object), mediaType, target(object.apiVersion, object.kind), 'Ignore').object;
}

interface Sample {
  name: string;
  object: { apiVersion: string; kind: string };
  protobuf: string;
}
const samples: Sample[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../fixtures/protobuf-samples.json'), 'utf8'),
);

describe('protobuf of objects with every field set', () => {
  it.each(samples)('$name is the same bytes and the same JSON as upstream', ({ object, protobuf }) => {
    const bytes = Buffer.from(protobuf, 'base64');
    expect(encode(object).toString('hex')).toBe(bytes.toString('hex'));
    expect(decodeBody(bytes, mediaType, target(object.apiVersion, object.kind), 'Strict').object).toEqual(object);
  });
});

describe('protobuf', () => {
  it('writes zero values that are not pointers, and leaves out those that JSON leaves out when it reads', () => {
    const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } };
    const hex = encode(configMap).toString('hex');
    const metadata = '0a0161' + '1200' + '1a00' + '2200' + '2a00' + '3200' + '3800' + '4200';
    expect(hex).toContain(metadata);
    expect(roundTrip(configMap)).toEqual({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'a' } });
  });

  it('keeps pointers to zero values', () => {
    const deployment = roundTrip({ apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 0 } } as never);
    expect(deployment).toMatchObject({ spec: { replicas: 0 } });
  });

  it('reads and writes the schemas of definitions, with their unions and raw JSON', () => {
    const schema = {
      type: 'object',
      properties: {
        open: { type: 'object', additionalProperties: true },
        closed: { type: 'object', additionalProperties: false },
        counts: { type: 'object', additionalProperties: { type: 'integer', minimum: 0.5, default: 3 } },
        list: { type: 'array', items: { type: 'string', enum: ['a', 'b'] }, maxItems: 0 },
        'x-kubernetes': { type: 'string', 'x-kubernetes-preserve-unknown-fields': true },
      },
    };
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'things.example.com' },
      spec: {
        group: 'example.com',
        names: { plural: 'things', kind: 'Thing' },
        scope: 'Namespaced',
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
      },
    };
    expect(roundTrip(definition)).toMatchObject({ spec: { versions: [{ schema: { openAPIV3Schema: schema } }] } });
  });

  it('encodes lists and Status', () => {
    const list = { kind: 'SecretList', apiVersion: 'v1', metadata: { resourceVersion: '7' }, items: [] };
    expect(roundTrip(list)).toEqual({ ...list, items: null });
    const meta = { name: 'a', resourceVersion: '3', labels: { b: 'c' } };
    const partial = {
      kind: 'PartialObjectMetadataList',
      apiVersion: 'meta.k8s.io/v1',
      metadata: {},
      items: [{ metadata: meta }],
    };
    expect(roundTrip(partial)).toEqual(partial);
    const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 404 };
    expect(roundTrip(status)).toEqual(status);
  });

  it('refuses kinds that have no protobuf form, with 406', () => {
    const table = { kind: 'Table', apiVersion: 'meta.k8s.io/v1' };
    expect(() => encode(table)).toThrow(expect.objectContaining({ code: 406 }));
    const custom = { kind: 'Thing', apiVersion: 'example.com/v1' };
    expect(() => encode(custom)).toThrow(expect.objectContaining({ code: 406 }));
  });

  it.each([
    [
      'no envelope',
      Buffer.from('{"kind":"Pod"}'),
      /does not appear to be a protobuf message, expected prefix \[107 56 115 0\]/,
    ],
    ['cut short', encode({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } }).subarray(0, 30), /unexpected EOF/],
  ])('refuses bytes with %s, with 400', (_what, bytes, message) => {
    const decode = () => decodeBody(bytes, mediaType, target('v1', 'Pod'), 'Ignore');
    expect(decode).toThrow(expect.objectContaining({ code: 400 }));
    expect(decode).toThrow(message);
  });

  it('frames watch events with their length and the enveloped object inside', () => {
    const object = encode({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } });
    const frame = encodeWatchFrame('MODIFIED', object, mediaType);
    expect(frame.readUInt32BE(0)).toBe(frame.length - 4);
    const event = new Reader(frame.subarray(4));
    event.tag();
    expect(event.text()).toBe('MODIFIED');
    event.tag();
    const raw = event.message();
    raw.tag();
    expect(raw.bytes().equals(object)).toBe(true);
    expect(event.done && raw.done).toBe(true);
  });
});

describe('the wire format', () => {
  it.each([0, 1, 127, 128, 300, 2 ** 31, 2 ** 40 + 5, 2 ** 52, -1, -(2 ** 31), -(2 ** 52)])('carries %d', (value) => {
    const writer = new ReverseWriter(1);
    writer.varint(value);
    expect(new Reader(writer.finish()).varint()).toBe(value);
  });
});
