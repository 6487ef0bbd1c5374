import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Payload, writeAtomically } from '../../../src/components/kubelet/volumes/atomic-writer.ts';
import { memorySize } from '../../../src/components/kubelet/volumes/empty-dir.ts';
import { etcHosts } from '../../../src/components/kubelet/volumes/etc-hosts.ts';
import { prepareHostPath } from '../../../src/components/kubelet/volumes/host-path.ts';
import { payloadOf } from '../../../src/components/kubelet/volumes/payload.ts';
import type { Pod, Volume } from '../../../src/machinery/api/types.ts';
import { base64, givenObjects } from './given-objects.ts';

const folder = () => mkdtempSync(join(tmpdir(), 'kinit-volume-'));
const files = (given: Record<string, string>, mode = 0o644): Payload =>
  new Map(Object.entries(given).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));

describe('the atomic writer', () => {
  it('shows files through ..data and replaces all at once', async () => {
    const at = folder();
    expect(await writeAtomically(at, files({ a: '1', 'dir/b': '2' }, 0o400))).toBe(true);
    const first = readlinkSync(join(at, '..data'));
    expect(first).toMatch(/^\.\.\d{4}(_\d\d){5}\./);
    expect(readlinkSync(join(at, 'a'))).toBe('..data/a');
    expect(readlinkSync(join(at, 'dir'))).toBe('..data/dir');
    expect(readFileSync(join(at, 'dir/b'), 'utf8')).toBe('2');
    expect(statSync(join(at, 'a')).mode & 0o777).toBe(0o400);

    expect(await writeAtomically(at, files({ a: '1', 'dir/b': '2' }, 0o400))).toBe(false);
    expect(readlinkSync(join(at, '..data'))).toBe(first);

    expect(await writeAtomically(at, files({ a: '3', c: '4' }))).toBe(true);
    expect(readdirSync(at).sort()).toEqual([readlinkSync(join(at, '..data')), '..data', 'a', 'c'].sort());
    expect(readFileSync(join(at, 'a'), 'utf8')).toBe('3');
  });

  it.each(['/abs', '../up', 'a/../b', '..hidden', ''])('refuses the path %j', async (path) => {
    await expect(writeAtomically(folder(), files({ [path]: '' }))).rejects.toThrow('invalid path');
  });
});

describe('contents', () => {
  const objects = givenObjects(
    { 'ns/conf': { data: { a: '1', b: '2' }, binaryData: { bin: base64('raw') } } },
    { 'ns/hidden': { data: { key: base64('value') } } },
  );
  const pod: Pod = {
    metadata: { name: 'p', namespace: 'ns', uid: 'u', labels: { z: '1', a: 'x' } },
    spec: { containers: [{ name: 'c', resources: { limits: { memory: '64Mi' } } }] },
  };
  const contents = async (volume: Omit<Volume, 'name'>, of = pod) => {
    const context = { pod: of, objects, nodeName: 'n', nodeAllocatable: { cpu: '4' } };
    const payload = await payloadOf({ name: 'v', ...volume }, context);
    return Object.fromEntries(
      [...(payload ?? [])].map(([path, { data, mode }]) => [path, `${mode.toString(8)} ${data.toString()}`]),
    );
  };

  it.each<[string, Omit<Volume, 'name'>, Record<string, string>]>([
    ['a whole ConfigMap', { configMap: { name: 'conf' } }, { a: '644 1', b: '644 2', bin: '644 raw' }],
    [
      'chosen keys with their modes',
      {
        configMap: {
          name: 'conf',
          defaultMode: 0o400,
          items: [
            { key: 'a', path: 'x/y', mode: 0o600 },
            { key: 'b', path: 'b' },
          ],
        },
      },
      { 'x/y': '600 1', b: '400 2' },
    ],
    ['nothing for an optional one', { secret: { secretName: 'gone', optional: true } }, {}],
    ['a Secret', { secret: { secretName: 'hidden', defaultMode: 0o440 } }, { key: '440 value' }],
    [
      'downward API fields',
      {
        downwardAPI: {
          items: [
            { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
            { path: 'mem', resourceFieldRef: { containerName: 'c', resource: 'limits.memory', divisor: '1Mi' } },
          ],
        },
      },
      { labels: '644 a="x"\nz="1"', mem: '644 64' },
    ],
    [
      'what service accounts get',
      {
        projected: {
          defaultMode: 0o644,
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
            { configMap: { name: 'conf', items: [{ key: 'a', path: 'ca.crt' }] } },
            { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
          ],
        },
      },
      { token: '644 token of p for  3607', 'ca.crt': '644 1', namespace: '644 ns' },
    ],
  ])('are %s', async (_, volume, expected) => {
    expect(await contents(volume)).toEqual(expected);
  });

  it.each<[string, Omit<Volume, 'name'>]>([
    ['configmap "y" not found', { configMap: { name: 'y' } }],
    ['secret "y" not found', { secret: { secretName: 'y' } }],
    ['references non-existent secret key: k', { secret: { secretName: 'hidden', items: [{ key: 'k', path: 'k' }] } }],
    [
      'configmap references non-existent config key: k',
      { configMap: { name: 'conf', items: [{ key: 'k', path: 'k' }] } },
    ],
    [
      '[configmap "y" not found, secret "z" not found]',
      { projected: { sources: [{ configMap: { name: 'y' } }, { secret: { name: 'z' } }] } },
    ],
  ])('fail with %s', async (message, volume) => {
    await expect(contents(volume)).rejects.toThrow(message);
  });

  it('are private tokens for pods that run as one user', async () => {
    const one: Pod = { ...pod, spec: { containers: [{ name: 'c' }], securityContext: { runAsUser: 1000 } } };
    expect(await contents({ projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }, one)).toEqual({
      t: '600 token of p for  3600',
    });
  });
});

describe('host paths', () => {
  it('are checked by type', async () => {
    const at = folder();
    writeFileSync(join(at, 'file'), '');
    mkdirSync(join(at, 'dir'));
    const socket = createServer().listen(join(at, 'socket'));
    await new Promise((resolve) => socket.once('listening', resolve));
    const cases: [string, string, string | undefined][] = [
      ['dir', 'Directory', undefined],
      ['file', 'Directory', 'is not a directory'],
      ['gone', 'Directory', 'is not a directory'],
      ['gone', '', undefined],
      ['dir', 'File', 'is not a file'],
      ['socket', 'Socket', undefined],
      ['file', 'Socket', 'is not a socket file'],
      ['file', 'CharDevice', 'is not a character device'],
      ['file', 'BlockDevice', 'is not a block device'],
      ['new/deep', 'DirectoryOrCreate', undefined],
      ['new/deep/file', 'FileOrCreate', undefined],
      ['new/deep/file', 'DirectoryOrCreate', 'is not a directory'],
    ];
    for (const [path, type, problem] of cases) {
      const full = join(at, path);
      const outcome = await prepareHostPath(full, type).catch((error: Error) => error.message);
      expect(outcome, `${path} as ${type}`).toBe(problem && `hostPath type check failed: ${full} ${problem}`);
    }
    expect(statSync(join(at, 'new/deep')).isDirectory()).toBe(true);
    socket.close();
  });
});

describe('the hosts file', () => {
  const aliases = [{ ip: '192.0.2.9', hostnames: ['foo.local', 'bar.local'] }];
  it('names the pod and its aliases', async () => {
    const pod: Pod = {
      metadata: { name: 'web-0', namespace: 'ns' },
      spec: { containers: [], hostname: 'web-0', subdomain: 'web', hostAliases: aliases },
    };
    expect(await etcHosts(pod, ['10.244.0.5'], 'cluster.local')).toBe(
      '# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' +
        'fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n' +
        '10.244.0.5\tweb-0.web.ns.svc.cluster.local\tweb-0\n' +
        '\n# Entries added by HostAliases.\n192.0.2.9\tfoo.local\tbar.local\n',
    );
  });
  it("is the node's own on the host's network", async () => {
    const own = join(folder(), 'hosts');
    writeFileSync(own, '127.0.0.1 localhost n1\n');
    const pod: Pod = { metadata: { name: 'p' }, spec: { containers: [], hostNetwork: true } };
    expect(await etcHosts(pod, ['192.0.2.1'], 'cluster.local', own)).toBe(
      '# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost n1\n',
    );
  });
});

it('memory volumes have the smallest of the limits', () => {
  const pod = (limit?: string): Pod => ({
    spec: { containers: [{ name: 'c', ...(limit ? { resources: { limits: { memory: limit } } } : {}) }] },
  });
  expect(memorySize(undefined, pod(), {})).toBeUndefined();
  expect(memorySize(undefined, pod(), { memory: '1Gi' })).toBe(1 << 30);
  expect(memorySize('1Mi', pod('2Mi'), { memory: '1Gi' })).toBe(1 << 20);
  expect(memorySize('4Mi', pod('2Mi'), { memory: '1Gi' })).toBe(2 << 20);
});
