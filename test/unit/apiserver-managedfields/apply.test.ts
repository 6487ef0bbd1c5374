import { describe, expect, it } from 'vitest';
import { StatusError } from '../../../src/components/apiserver/errors.ts';
import { applyPatch, updateManagedFields } from '../../../src/components/apiserver/managedfields/field-manager.ts';
import type { ResourceDescriptor } from '../../../src/components/apiserver/types.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { at, complete, descriptorOf, owned } from './objects.ts';

const configMaps = descriptorOf('', 'v1', 'configmaps');
const deployments = descriptorOf('apps', 'v1', 'deployments');
const services = descriptorOf('', 'v1', 'services');

const configMap = (data: object, metadata: object = {}): UnknownObject =>
  ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'c', namespace: 'default', ...metadata },
    data,
  }) as UnknownObject;

const deployment = (spec: object, containers: object[] = []): UnknownObject =>
  ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'd' } },
      template: { metadata: { labels: { app: 'd' } }, spec: { containers } },
      ...spec,
    },
  }) as UnknownObject;

interface Step {
  manager: string;
  force?: boolean;
  subresource?: string;
}

function apply(
  descriptor: ResourceDescriptor,
  live: UnknownObject | undefined,
  applied: UnknownObject,
  step: Step,
  second = 1,
) {
  const write = { force: false, now: at(second), ...step };
  return complete(descriptor, applyPatch(descriptor, live, structuredClone(applied), write));
}

function failure(action: () => unknown): StatusError {
  try {
    action();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('server-side apply', () => {
  it('creates, and owns what the configuration says', () => {
    const made = apply(deployments, undefined, deployment({}, [{ name: 'a', image: 'i' }]), { manager: 'me' });
    expect(owned(made)).toEqual({
      'me Apply': {
        'f:spec': {
          'f:selector': {},
          'f:template': {
            'f:metadata': { 'f:labels': { 'f:app': {} } },
            'f:spec': { 'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:image': {}, 'f:name': {} } } },
          },
        },
      },
    });
    expect(made['spec']).toMatchObject({ replicas: 1, strategy: { type: 'RollingUpdate' } });
  });

  it('answers the object itself when nothing changes', () => {
    const made = apply(configMaps, undefined, configMap({ a: '1' }), { manager: 'me' });
    expect(applyPatch(configMaps, made, configMap({ a: '1' }), { manager: 'me', force: false, now: at(9) })).toBe(made);
  });

  it('removes what the applier no longer sets, unless another one claims it', () => {
    const one = apply(configMaps, undefined, configMap({ a: '1', b: '1', c: '1' }, { labels: { x: '1' } }), {
      manager: 'one',
    });
    const two = apply(configMaps, one, configMap({ b: '1' }), { manager: 'two' });
    const less = apply(configMaps, two, configMap({ c: '1' }), { manager: 'one' }, 2);
    expect(less).toMatchObject({ data: { b: '1', c: '1' } });
    expect(less.metadata).toMatchObject({ name: 'c', namespace: 'default' });
    expect(less.metadata?.labels).toBeUndefined();
    expect(Object.keys(less['data'] as object)).toEqual(['b', 'c']);
    expect(owned(less)).toEqual({
      'one Apply': { 'f:data': { 'f:c': {} } },
      'two Apply': { 'f:data': { 'f:b': {} } },
    });
  });

  it('removes list items and keeps those that others have set', () => {
    const a = { name: 'a', image: 'i' };
    const b = { name: 'b', image: 'i' };
    const one = apply(deployments, undefined, deployment({}, [a, b]), { manager: 'one' });
    const env = apply(deployments, one, deployment({}, [{ name: 'b', env: [{ name: 'E', value: '1' }] }]), {
      manager: 'two',
    });
    const left = apply(deployments, env, deployment({}, [a]), { manager: 'one' }, 2) as unknown as {
      spec: { template: { spec: { containers: { name: string; image?: string }[] } } };
    };
    expect(left.spec.template.spec.containers.map(({ name, image }) => [name, image])).toEqual([
      ['a', 'i'],
      ['b', undefined],
    ]);
  });

  it.each<[string, string[], string[], string[]]>([
    ['new items at the end', ['a', 'b'], ['c'], ['a', 'b', 'c']],
    ['the order of the configuration', ['a', 'b', 'c'], ['c', 'a'], ['b', 'c', 'a']],
    ['items of others in their places', ['a', 'x', 'b'], ['a', 'b'], ['a', 'x', 'b']],
    ['new items before their successors', ['a', 'c'], ['b', 'c'], ['a', 'b', 'c']],
  ])('merges lists: %s', (_, before, applied, expected) => {
    const list = (names: string[]) =>
      deployment(
        {},
        names.map((name) => ({ name, image: 'i' })),
      );
    const live = apply(deployments, undefined, list(before), { manager: 'one' });
    const merged = apply(deployments, live, list(applied), { manager: 'two' });
    const spec = merged['spec'] as { template: { spec: { containers: { name: string }[] } } };
    expect(spec.template.spec.containers.map(({ name }) => name)).toEqual(expected);
  });

  it('tells of a conflict and lets it be forced', () => {
    const made = apply(deployments, undefined, deployment({ replicas: 1 }), { manager: 'one' });
    const scaled = updateManagedFields(
      deployments,
      made,
      complete(deployments, { ...made, spec: { ...(made['spec'] as object), replicas: 5 } }),
      { manager: 'kubectl-scale', subresource: 'scale', now: at(2) },
    );
    expect(owned(scaled)['kubectl-scale Update scale']).toEqual({ 'f:spec': { 'f:replicas': {} } });
    const wanted = deployment({ replicas: 2 });
    const { status } = failure(() => apply(deployments, scaled, wanted, { manager: 'one' }));
    expect(status).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message:
        'Apply failed with 1 conflict: conflict with "kubectl-scale" with subresource "scale" using apps/v1: .spec.replicas',
      details: {
        causes: [
          {
            reason: 'FieldManagerConflict',
            message: 'conflict with "kubectl-scale" with subresource "scale" using apps/v1',
            field: '.spec.replicas',
          },
        ],
      },
    });
    const forced = apply(deployments, scaled, wanted, { manager: 'one', force: true }, 3);
    expect(forced).toMatchObject({ spec: { replicas: 2 } });
    expect(Object.keys(owned(forced))).toEqual(['one Apply']);
  });

  it('lists all conflicts by owner', () => {
    const one = apply(configMaps, undefined, configMap({ a: '1', b: '1' }), { manager: 'one' });
    const two = updateManagedFields(
      configMaps,
      one,
      complete(configMaps, configMap({ a: '1', b: '1', c: '1' }, one.metadata)),
      { manager: 'two', now: at(2) },
    );
    const { status } = failure(() =>
      apply(configMaps, two, configMap({ a: '2', b: '2', c: '2' }), { manager: 'three' }),
    );
    expect(status.message).toBe(
      'Apply failed with 3 conflicts: conflicts with "one":\n- .data.a\n- .data.b\nconflicts with "two" using v1:\n- .data.c',
    );
  });

  it('shares fields whose values agree', () => {
    const one = apply(configMaps, undefined, configMap({ a: '1' }), { manager: 'one' });
    const two = apply(configMaps, one, configMap({ a: '1' }), { manager: 'two' });
    expect(Object.keys(owned(two))).toEqual(['one Apply', 'two Apply']);
  });

  it('takes objects without owners as made before the first apply', () => {
    const live = complete(configMaps, configMap({ a: '1', b: '1' }));
    const { status } = failure(() => apply(configMaps, live, configMap({ a: '2' }), { manager: 'me' }));
    expect(status.message).toBe('Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a');
    const merged = apply(configMaps, live, configMap({ c: '1' }), { manager: 'me' });
    expect(Object.keys(owned(merged))).toEqual(['me Apply', 'before-first-apply Update']);
  });

  it('lets kubectl take over what its client-side apply set', () => {
    const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
    const config = configMap({ a: '1', b: '1' });
    const metadata = { annotations: { [annotation]: JSON.stringify(config) } };
    const live = updateManagedFields(
      configMaps,
      undefined,
      complete(configMaps, configMap({ a: '1', b: '1' }, metadata)),
      {
        manager: 'kubectl-client-side-apply',
        now: at(0),
      },
    );
    const wanted = configMap({ a: '2' });
    expect(failure(() => apply(configMaps, live, wanted, { manager: 'other' })).code).toBe(409);
    const merged = apply(configMaps, live, wanted, { manager: 'kubectl' });
    expect(merged).toMatchObject({ data: { a: '2', b: '1' } });
    expect(JSON.parse(merged.metadata?.annotations?.[annotation] ?? '')).toEqual(wanted);
  });

  it('leaves the status to its subresource', () => {
    const spec = { ports: [{ port: 80 }] };
    const service = (status: object) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's', namespace: 'default' },
      spec,
      status,
    });
    const ingress = { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } };
    const made = apply(services, undefined, service(ingress) as UnknownObject, { manager: 'me' });
    expect(owned(made)).toEqual({
      'me Apply': { 'f:spec': { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:port': {} } } } },
    });
    const updated = apply(services, made, service(ingress) as UnknownObject, { manager: 'lb', subresource: 'status' });
    expect(owned(updated)['lb Apply status']).toEqual({ 'f:status': { 'f:loadBalancer': { 'f:ingress': {} } } });
    expect(updated).toMatchObject({ status: ingress });
  });

  it.each<[string, UnknownObject, number, string]>([
    [
      'fields that do not exist',
      deployment({ bogus: 1 }),
      500,
      'failed to create typed patch object (default/d; apps/v1, Kind=Deployment): .spec.bogus: field not declared in schema',
    ],
    [
      'duplicates',
      deployment({}, [{ name: 'a' }, { name: 'a' }]),
      500,
      'failed to create typed patch object (default/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name="a"]',
    ],
    [
      'managed fields',
      { ...deployment({}), metadata: { managedFields: [{ manager: 'x' }] } },
      400,
      'metadata.managedFields must be nil',
    ],
  ])('refuses %s', (_, applied, code, message) => {
    const { status } = failure(() => apply(deployments, undefined, applied, { manager: 'me' }));
    expect(status).toMatchObject({ code, message });
  });
});
