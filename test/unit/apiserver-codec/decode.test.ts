import { describe, expect, it } from 'vitest';
import { decodeBody, normalize } from '../../../src/components/apiserver/codec/decode.ts';
import { encodeObject, encodeWatchFrame } from '../../../src/components/apiserver/codec/encode.ts';
import { StatusError } from '../../../src/components/apiserver/errors.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const pod = { group: '', version: 'v1', kind: 'Pod' };
const deployment = { group: 'apps', version: 'v1', kind: 'Deployment' };
const decode = (text: string, target = pod, validation: 'Strict' | 'Warn' | 'Ignore' = 'Strict', type?: string) =>
  decodeBody(Buffer.from(text), type ?? 'application/json', target, validation);

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('decoding', () => {
  it('writes values as the API server does: canonical quantities, times in UTC, no empty optional fields', () => {
    const { object } = decode(`{"apiVersion":"v1","kind":"Pod",
      "metadata":{"name":"a","labels":{},"creationTimestamp":null,"deletionTimestamp":"2024-01-01T02:00:00+01:00"},
      "spec":{"nodeName":"","containers":[{"name":"c","command":[],"resources":{"limits":{"memory":"1024Mi","cpu":0.5}}}]}}`);
    expect(object).toEqual({
      kind: 'Pod',
      apiVersion: 'v1',
      metadata: { name: 'a', deletionTimestamp: '2024-01-01T01:00:00Z' },
      spec: { containers: [{ name: 'c', resources: { limits: { memory: '1Gi', cpu: '500m' } } }] },
      status: {},
    });
  });

  it('fills in apiVersion and kind that the body leaves out', () => {
    expect(decode('{"metadata":{"name":"a"}}').object).toMatchObject({ apiVersion: 'v1', kind: 'Pod' });
  });

  it('reads YAML with merge keys, and leaves dates texts', () => {
    const text = 'kind: Pod\nmetadata: &m\n  name: a\n  annotations: {at: 2024-01-01}\nspec:\n  nodeSelector: {a: b}\n';
    const { object } = decode(text, pod, 'Strict', 'application/yaml');
    expect(object).toMatchObject({ metadata: { name: 'a', annotations: { at: '2024-01-01' } } });
    const merged = decode('metadata:\n  labels:\n    <<: {a: x}\n    b: y\n', pod, 'Strict', 'application/yaml');
    expect(merged.object.metadata?.labels).toEqual({ a: 'x', b: 'y' });
  });

  const odd = '{"metadata":{"name":"a","name":"b"},"spec":{"containers":[{"name":"c","imag":"x"}]},"spek":1}';
  const complaints = [
    'duplicate field "metadata.name"',
    'unknown field "spec.containers[0].imag"',
    'unknown field "spek"',
  ];

  it('drops unknown fields: silently, with warnings, or not at all', () => {
    expect(decode(odd, pod, 'Ignore').warnings).toEqual([]);
    const { object, warnings } = decode(odd, pod, 'Warn');
    expect(warnings).toEqual(complaints);
    expect(object).not.toHaveProperty('spek');
    expect(object.metadata?.name).toBe('b');
    expect(refusal(() => decode(odd))).toBe(
      `400 Pod in version "v1" cannot be handled as a Pod: strict decoding error: ${complaints.join(', ')}`,
    );
  });

  it.each([
    [
      '{"spec":{"replicas":"3"}}',
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      '{"metadata":{"labels":{"a":1}}}',
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      '{"spec":{"template":{"spec":{"containers":{}}}}}',
      'json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    ],
    [
      '{"spec":{"template":{"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}}}',
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ])('refuses %s in the words of Go', (text, message) => {
    expect(refusal(() => decode(text, deployment))).toBe(
      `400 Deployment in version "v1" cannot be handled as a Deployment: ${message}`,
    );
  });

  it.each([
    [
      '{"apiVersion":"apps/v1","kind":"Deployment"}',
      /^400 .*converting \(v1.Deployment\) to \(core.Pod\): unknown conversion/,
    ],
    [
      '{"apiVersion":"v2","kind":"Pod"}',
      /^400 the API version in the data \(v2\) does not match the expected API version \(v1\)/,
    ],
    ['{"apiVersion":"x/v1","kind":"Y"}', /^400 .*no kind "Y" is registered for version "x\/v1"/],
    ['{"a":', /^400 the object provided is unrecognized .*unexpected end of JSON input/],
    ['{"a" 1}', /^400 .*invalid character '1' after object key/],
    ['[]', /^400 .*cannot unmarshal array into Go value/],
  ])('refuses %s', (text, message) => {
    expect(refusal(() => decode(text))).toMatch(message);
  });

  it('refuses other media types with 415', () => {
    expect(refusal(() => decode('a=b', pod, 'Strict', 'application/x-www-form-urlencoded'))).toMatch(/^415 /);
  });

  it('takes the options of a delete of any group', () => {
    const options = { group: '', version: 'v1', kind: 'DeleteOptions' };
    const text =
      '{"kind":"DeleteOptions","apiVersion":"batch/v1","gracePeriodSeconds":0,"propagationPolicy":"Foreground"}';
    expect(decode(text, options).object).toEqual(JSON.parse(text));
  });

  it('normalises the results of patches alike', () => {
    const patched = { apiVersion: 'v1', kind: 'Pod', spec: { nodeName: '', bad: 1 } } as UnknownObject;
    const { object, warnings } = normalize(pod, patched, 'Warn');
    expect(object['spec']).toEqual({ containers: null });
    expect(warnings).toEqual(['unknown field "spec.bad"']);
  });

  it('keeps what a schema of a custom resource allows', () => {
    const schema = {
      name: 'com.example.v1.Thing',
      fields: {
        metadata: { type: 'any' as const },
        spec: {
          type: 'object' as const,
          schema: { name: 'com.example.v1.Thing.spec', fields: { a: { type: 'string' as const } } },
        },
      },
    };
    const thing = { group: 'example.com', version: 'v1', kind: 'Thing', schema };
    const { object, warnings } = decodeBody(Buffer.from('{"spec":{"a":"","b":1}}'), 'application/json', thing, 'Warn');
    expect(object['spec']).toEqual({ a: '' });
    expect(warnings).toEqual(['unknown field "spec.b"']);
    const protobuf = () => decodeBody(Buffer.from('k8s'), 'application/vnd.kubernetes.protobuf', thing, 'Warn');
    expect(refusal(protobuf)).toMatch(/^415 .*: application\/json, application\/yaml$/);
  });
});

describe('encoding', () => {
  const object = { kind: 'ConfigMap', apiVersion: 'v1', data: { b: 'yes', a: 'x\ny\n' } } as UnknownObject;

  it('writes JSON in one line, or indented when asked', () => {
    const json = { mediaType: 'application/json' as const };
    expect(encodeObject(object, { ...json, pretty: false }).toString()).toBe(`${JSON.stringify(object)}\n`);
    expect(encodeObject(object, { ...json, pretty: true }).toString()).toContain('\n  "apiVersion": "v1"');
  });

  it('writes YAML with sorted keys and quotes what older readers take for booleans', () => {
    expect(encodeObject(object, { mediaType: 'application/yaml', pretty: false }).toString()).toBe(
      "apiVersion: v1\ndata:\n  a: |\n    x\n    y\n  b: 'yes'\nkind: ConfigMap\n",
    );
  });

  it.each(['application/json', 'application/yaml'] as const)('frames watch events in %s', (mediaType) => {
    const frame = encodeWatchFrame('ADDED', encodeObject(object, { mediaType, pretty: false }), mediaType);
    const { object: read } = decodeBody(frame, mediaType, { group: '', version: 'v1', kind: 'WatchEvent' }, 'Ignore');
    expect(read).toMatchObject({ type: 'ADDED', object });
    expect(frame.at(-1)).toBe(0x0a);
  });
});
