/** Mistakes of all kinds: a clear message, the documented exit code, and nothing changed on the hosts. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kinitVersion } from '../../../src/machinery/version.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { eventually } from '../../parts/eventually.ts';
import { difference, hostState } from '../../parts/host-state.ts';
import { lab as clusterLab, kinit, root } from '../harness.ts';
import { unfitHosts } from './unfit-hosts.ts';

const bundle = `${root}/dist/kinit-${kinitVersion}-linux-amd64.run`;
const kinitOnHost = '/usr/local/bin/kinit';

interface Mistake {
  what: string;
  /** Fields of the inventory beside apiVersion and kind; ADDRESS is a host of the lab, KEY and KNOWN its files. */
  inventory: string;
  code: number;
  message: RegExp[];
}

const target = 'address: ADDRESS, identityFile: KEY, knownHosts: KNOWN';
const host = `{ name: two, ${target}, roles: [control-plane] }`;

/** What the workstation sees by itself, and what it sees when it tries to connect. */
const mistakes: Mistake[] = [
  {
    what: 'YAML that is none',
    inventory: `hosts:\n  - { name: two, ${target}\n`,
    code: 3,
    message: [/inventory\.yaml:\d+:\d+: /, /correct the YAML at this place; nothing was changed/],
  },
  {
    what: 'a field that is mistyped',
    inventory: `hosts:\n  - { name: two, adress: ADDRESS, roles: [control-plane] }`,
    code: 3,
    message: [/inventory\.yaml:4:18: unknown field "adress" in Inventory\.hosts\[0\]; did you mean "address"\?/],
  },
  {
    what: 'a field of the cluster that is mistyped',
    inventory: `cluster:\n  networking:\n    podSubnets: 10.1.0.0/16\nhosts:\n  - ${host}`,
    code: 3,
    message: [/inventory\.yaml:5:5: unknown field "podSubnets".*did you mean "podSubnet"\?/],
  },
  {
    what: 'a value that is not one of the known',
    inventory: `hosts:\n  - { name: two, ${target}, roles: [master] }`,
    code: 3,
    message: [/inventory\.yaml:4:\d+: .*roles.* must be one of "control-plane", "worker"/],
  },
  {
    what: 'networks that overlap',
    inventory: `cluster:\n  networking: { podSubnet: 10.96.0.0/16, serviceSubnet: 10.96.0.0/12 }\nhosts:\n  - ${host}`,
    code: 3,
    message: [
      /inventory\.yaml:4:17: the pod network 10\.96\.0\.0\/16 and the service network 10\.96\.0\.0\/12 overlap/,
    ],
  },
  {
    what: 'one host twice',
    inventory: `hosts:\n  - ${host}\n  - ${host.replace('control-plane', 'worker')}`,
    code: 3,
    message: [
      /inventory\.yaml:5:\d+: the name "two" is also that of host two/,
      /inventory\.yaml:5:\d+: the address ".*" is also that of host two/,
    ],
  },
  {
    what: 'no control plane',
    inventory: `hosts:\n  - ${host.replace('control-plane', 'worker')}`,
    code: 3,
    message: [/no host has the role control-plane/],
  },
  {
    what: 'a host that is not there',
    inventory: `hosts:\n  - ${host}\n  - { name: away, address: NOBODY, identityFile: KEY, knownHosts: KNOWN, roles: [control-plane] }`,
    code: 4,
    message: [
      /host away.*: cannot reach NOBODY:22/,
      /check address and port in the inventory/,
      /nothing was changed on two/,
    ],
  },
  {
    what: 'a port without SSH server',
    inventory: `hosts:\n  - { name: two, ${target}, port: 23, hostKeys: ["SHA256:${'0'.repeat(43)}"], roles: [control-plane] }`,
    code: 4,
    message: [/cannot reach ADDRESS:23/],
  },
  {
    what: 'a key that the host does not know',
    inventory: `hosts:\n  - { name: two, address: ADDRESS, identityFile: OTHERKEY, knownHosts: KNOWN, roles: [control-plane] }`,
    code: 5,
    message: [/ADDRESS:22 refuses the login as root/, /tried \w+/, /check user, identityFile/],
  },
  {
    what: 'a key file that is missing',
    inventory: `hosts:\n  - { name: two, address: ADDRESS, identityFile: missing, knownHosts: KNOWN, roles: [control-plane] }`,
    code: 5,
    message: [/cannot read the key .*missing: ENOENT/],
  },
  {
    what: 'a host key that is not known',
    inventory: `hosts:\n  - { name: two, address: ADDRESS, identityFile: KEY, knownHosts: nothing, roles: [control-plane] }`,
    code: 5,
    message: [/the host key of ADDRESS is not known/, /SHA256:/, /ssh-keyscan/, /--accept-host-keys/],
  },
  {
    what: 'a host key that is another one than the known',
    inventory: `hosts:\n  - { name: two, address: ADDRESS, identityFile: KEY, knownHosts: CHANGED, roles: [control-plane] }`,
    code: 5,
    message: [/the host key of ADDRESS is not the one that is known/, /ssh-keygen -R/],
  },
];

export function badInput(): void {
  describe('a mistake', () => {
    let lab: Lab;
    let one: LabHost;
    let two: LabHost;
    let folder = '';
    let before: string[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'kinit-mistakes-'));
      lab = await createLab({
        name: `${clusterLab}-mistakes`,
        hosts: [
          { name: 'one', flavour: 'debian' },
          { name: 'two', flavour: 'ubuntu' },
        ],
      });
      one = lab.host('one');
      two = lab.host('two');
      await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'other')]);
      const changed = await execa('cat', [join(folder, 'other.pub')]);
      await writeFile(join(folder, 'changed'), `${two.ip} ${changed.stdout.split(' ').slice(0, 2).join(' ')}\n`);
      await Promise.all(
        lab.hosts.map(async (each) => {
          await each.copy(bundle, '/root/kinit.run');
          await each.must('sh /root/kinit.run --quiet', { timeoutMs: 120_000 });
        }),
      );
      before = await hostState(two);
    }, 200_000);
    afterAll(async () => {
      await lab?.down();
      await rm(folder, { recursive: true, force: true });
    });

    const expectUntouched = async () => expect(difference(before, await hostState(two))).toEqual([]);
    const fill = (text: string) =>
      text
        .replaceAll('ADDRESS', two.ip)
        .replaceAll('NOBODY', two.ip.replace(/\d+$/, '99'))
        .replaceAll('OTHERKEY', join(folder, 'other'))
        .replaceAll('KEY', lab.sshKeyPath)
        .replaceAll('KNOWN', lab.knownHosts)
        .replaceAll('CHANGED', join(folder, 'changed'));

    it.each(mistakes)('in an inventory is told: $what', async ({ inventory, code, message }) => {
      const path = join(folder, 'inventory.yaml');
      await writeFile(path, `apiVersion: kinit.local/v1alpha1\nkind: Inventory\n${fill(inventory)}`);
      const result = await kinit('up', '--output', 'plain', '-i', path, '--kubeconfig-out', join(folder, 'kubeconfig'));
      for (const pattern of message)
        expect(`${result.stdout}${result.stderr}`).toMatch(new RegExp(fill(pattern.source).replaceAll('\\\\.', '\\.')));
      expect(result.code).toBe(code);
    });

    it('in an inventory has changed nothing on the host', expectUntouched);

    const onTwo = (command: string) => two.exec(command, { timeoutMs: 120_000 });

    it('in flags or a configuration file is told on the host', async () => {
      for (const [command, message] of [
        [
          `${kinitOnHost} init --pod-network-cidr 10.96.0.0/16`,
          /the pod network 10\.96\.0\.0\/16 and the service network/,
        ],
        [`${kinitOnHost} init --pod-network-cidr 10.96.0.0/160`, /is not a CIDR block like 10\.244\.0\.0\/16/],
        [
          `${kinitOnHost} init --pod-netwrok-cidr 10.1.0.0/16`,
          /unknown option '--pod-netwrok-cidr'\s+\(Did you mean --pod-network-cidr\?\)/,
        ],
        [`${kinitOnHost} init --skip-phases preflihgt`, /there is no phase "preflihgt"; did you mean "preflight"\?/],
        [`${kinitOnHost} init --kubernetes-version v1.30.0`, /v1\.30\.0/],
        [
          `printf 'apiVersion: kubeadm.k8s.io/v1beta4\\nkind: ClusterConfiguration\\nclusterNmae: x\\n' | ${kinitOnHost} init --config /dev/stdin`,
          /:3:1: unknown field "clusterNmae" in ClusterConfiguration; did you mean "clusterName"\?/,
        ],
        [
          `${kinitOnHost} join 10.0.0.1:6443 --token abc --discovery-token-ca-cert-hash sha256:00`,
          /does not have the form/,
        ],
        [`${kinitOnHost} join 10.0.0.1:6443 --token abcdef.0123456789abcdef`, /the CA is not pinned/],
      ] as const) {
        const { code, stdout, stderr } = await onTwo(command);
        expect(`${stdout}${stderr}`).toMatch(message);
        expect(`${command}: ${code}`).toBe(`${command}: 3`);
      }
      await expectUntouched();
    });

    it('that is a used port is found before anything is changed', async () => {
      await two.must('systemd-run --unit squatter --quiet systemd-socket-activate -l 10250 /bin/cat');
      try {
        await eventually(() => two.must('ss -Hltn sport = :10250 | grep -q .'), 10_000);
        const { code, stdout, stderr } = await onTwo(`${kinitOnHost} init --output plain`);
        expect(`${stdout}${stderr}`).toMatch(/\[ERROR Port-10250\]: port 10250 is in use by .+ \(pid \d+\)/);
        expect(code).toBe(2);
      } finally {
        await two.must('systemctl stop squatter; systemctl reset-failed squatter 2>/dev/null; true');
      }
      await expectUntouched();
    });

    it('of little memory is a warning', async () => {
      await two.must(
        'sed "s/^MemTotal:.*/MemTotal:        1000000 kB/" /proc/meminfo > /run/meminfo && mount --bind /run/meminfo /proc/meminfo',
      );
      try {
        const { code, stdout, stderr } = await onTwo(`${kinitOnHost} init --dry-run --output plain`);
        expect(`${stdout}${stderr}`).toMatch(/\[Mem\] the system RAM \(976 MB\) is less than the recommended 1700 MB/);
        expect(code, `${stdout}${stderr}`).toBe(0);
      } finally {
        await two.must('umount /proc/meminfo && rm /run/meminfo');
      }
      await expectUntouched();
    });

    unfitHosts(() => ({ lab, one, two, folder, untouched: expectUntouched }));

    describe('when joining', () => {
      let command = '';
      beforeAll(async () => {
        const { code, stdout, stderr } = await one.exec(`${kinitOnHost} init --output plain`, { timeoutMs: 300_000 });
        expect(code, `${stdout}${stderr}`).toBe(0);
        command = (await one.must(`${kinitOnHost} token create --print-join-command`)).trim();
      }, 320_000);

      const join = async (words: string, code: number, ...messages: RegExp[]) => {
        const result = await onTwo(`${words.replace(/^kinit/, kinitOnHost)} --output plain`);
        for (const message of messages) expect(`${result.stdout}${result.stderr}`).toMatch(message);
        expect(result.code).toBe(code);
        await expectUntouched();
      };

      it('is told: the wrong hash', () =>
        join(
          command.replace(/sha256:[0-9a-f]{64}/, `sha256:${'0'.repeat(64)}`),
          6,
          /the cluster's CA is not the one that --discovery-token-ca-cert-hash names/,
          /kinit token create --print-join-command/,
        ));

      it('is told: the wrong secret of a token', () =>
        join(
          command.replace(/(--token [a-z0-9]{6}\.)[a-z0-9]{16}/, '$1aaaaaaaaaaaaaaaa'),
          6,
          /the secret part of the token/,
        ));

      it('is told: a token that has expired', async () => {
        const short = (await one.must(`${kinitOnHost} token create --ttl 1s --print-join-command`)).trim();
        const id = /--token ([a-z0-9]{6})/.exec(short)?.[1] ?? '';
        const signed = `curl -sk https://127.0.0.1:6443/api/v1/namespaces/kube-public/configmaps/cluster-info`;
        await eventually(async () => expect(await one.must(signed)).not.toContain(`jws-kubeconfig-${id}`), 60_000);
        await join(short, 6, new RegExp(`does not know the token "${id}\\.…" \\(expired, deleted, or mistyped\\)`));
      });

      it('is told: an endpoint where nothing listens', () =>
        join(
          command.replace(/:6443/, ':6444'),
          4,
          /cannot reach the API server at .*:6444/,
          /check the endpoint, and that a firewall lets TCP/,
        ));

      it('is told: an endpoint that is no API server', () =>
        join(command.replace(/:6443/, ':10250'), 6, /does not tell about its cluster/));
    });
  });
}
