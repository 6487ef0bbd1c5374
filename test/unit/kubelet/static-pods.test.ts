import { describe, expect, it } from 'vitest';
import { isMirrorOf } from '../../../src/components/kubelet/pods/identity.ts';
import { ManifestError, parseManifest } from '../../../src/components/kubelet/static-pods/parse.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';

const manifest = (more = '') => `apiVersion: v1
kind: Pod
metadata: {name: web, namespace: kube-system}
spec:
  containers: [{name: main, image: 'r.example/x'${more}}]
`;
const parse = (text: string, path = '/m/web.yaml', node = 'n1') => parseManifest(text, path, node);

describe('a manifest', () => {
  it('becomes a pod of this node, with defaults', () => {
    const pod = parse(manifest());
    expect(pod.metadata).toMatchObject({
      name: 'web-n1',
      namespace: 'kube-system',
      annotations: { 'kubernetes.io/config.source': 'file', 'kubernetes.io/config.hash': pod.metadata?.uid },
    });
    expect(pod.metadata?.uid).toMatch(/^[0-9a-f]{32}$/);
    expect(pod.spec).toMatchObject({
      nodeName: 'n1',
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      tolerations: [{ effect: 'NoExecute', operator: 'Exists' }],
    });
    expect(pod.spec?.containers[0]).toMatchObject({
      imagePullPolicy: 'Always',
      terminationMessagePath: '/dev/termination-log',
    });
  });

  it('is known by its mirror, and not by that of what the manifest was before', () => {
    const mirrorOf = (pod: Pod): Pod => ({
      ...pod,
      metadata: { ...pod.metadata, annotations: { 'kubernetes.io/config.mirror': pod.metadata?.uid ?? '' } },
    });
    const [before, after] = [parse(manifest()), parse(manifest(', command: [a]'))];
    expect(isMirrorOf(mirrorOf(after), after)).toBe(true);
    expect(isMirrorOf(mirrorOf(before), after)).toBe(false);
  });

  it('has an identity that follows content, node and path only', () => {
    const uid = (text: string, path?: string, node?: string) => parse(text, path, node).metadata?.uid;
    const own = uid(manifest());
    expect(uid(`# a comment\n${manifest()}`)).toBe(own);
    expect(uid(manifest(', command: [a]'))).not.toBe(own);
    expect(uid(manifest(), '/m/other.yaml')).not.toBe(own);
    expect(uid(manifest(), '/m/web.yaml', 'n2')).not.toBe(own);
  });

  it.each([
    ['a: [', /couldn't parse as pod/],
    ['text', /no object/],
    ['kind: Service\napiVersion: v1', /kind "Service" is not Pod/],
    ['kind: Pod\napiVersion: v2', /apiVersion "v2" is not v1/],
    ['kind: Pod\napiVersion: v1\nmetadata: {name: x}', /spec is missing/],
    [
      'kind: Pod\napiVersion: v1\nmetadata: {name: X_}\nspec: {containers: [{name: a, image: b}]}',
      /metadata.name: Invalid value: "X_"/,
    ],
    ['kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {containers: []}', /spec.containers: Required value/],
    [
      'kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {containers: [{name: a}]}',
      /containers\[0\].image: Required value/,
    ],
    [
      'kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b, volumeMounts: [{name: v, mountPath: /v}]}]}',
      /volumeMounts: Not found: "v"/,
    ],
    [
      'kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {volumes: [{name: v, secret: {secretName: s}}], containers: [{name: a, image: b}]}',
      /may not reference secret/,
    ],
  ])('is refused: %s', (text, message) => {
    expect(() => parse(text)).toThrow(ManifestError);
    expect(() => parse(text)).toThrow(message);
  });
});
