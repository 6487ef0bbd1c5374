/** Other runtimes than the bundle's: the distribution's packages with a private registry, and a containerd that is there. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kinitVersion } from '../../src/machinery/version.ts';
import { createLab, type Lab, type LabHost } from '../lab/lab.ts';
import { packageFile, packageRepository } from '../lab/packages.ts';
import { eventually } from '../parts/eventually.ts';
import { difference, hostState } from '../parts/host-state.ts';
import { registryPassword, registryUser, startRegistry, type TestRegistry } from '../parts/registry.ts';
import { root } from './harness.ts';

const packages = ['containerd', 'runc', 'docker-registry'];
const bundle = `${root}/dist/kinit-${kinitVersion}-linux-amd64.run`;
const kubectl =
  '/opt/kinit/current/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /run/kubectl-cache --request-timeout 10s';
const ctr = '/opt/kinit/current/bin/ctr -n k8s.io';
/** What package managers write down of their own work, and what the test itself puts there. */
const ofPackages = [
  /^\w+ \/var\/lib\/(dpkg|apt|rpm|dnf|containerd)\b/,
  /^\w+ \/var\/log\/(apt|dpkg|alternatives|dnf|hawkey|README)/,
  /^\w+ \/root\/\.rpmdb/,
  /^\w+ \/root\/kinit\.(run|yaml)/,
  /^\w+ \/run\/kubectl-cache\b/,
];
/** Empty folders that containerd makes for the first container of its life. */
const ofContainerd = [...ofPackages, /^file \/run\/containerd\//];

describe.sequential('a node with another runtime', () => {
  let lab: Lab;
  let one: LabHost;
  let two: LabHost;
  let registry: TestRegistry;
  let before: string[];

  beforeAll(async () => {
    const repository = await packageRepository(packages);
    lab = await createLab({
      name: 'runtimes-test',
      hosts: [
        { name: 'one', flavour: 'debian' },
        { name: 'two', flavour: 'centos' },
      ],
    });
    [one, two] = [lab.host('one'), lab.host('two')];
    const address = `10.77.${lab.state.network.index}.1`;
    registry = await startRegistry(mkdtempSync(join(tmpdir(), 'kinit-registry-')), repository, address);
    await one.must('mkdir /srv/apt');
    for (const name of ['containerd', 'runc']) await one.copy(await packageFile(repository, name), '/srv/apt/');
    await one.copy(join(repository, 'Packages'), '/srv/apt/');
    await one.must('echo "deb [trusted=yes] file:/srv/apt ./" > /etc/apt/sources.list');
    await Promise.all([makeRpm(two, repository), ...[one, two].map((host) => host.copy(bundle, '/root/kinit.run'))]);
    before = await hostState(one, ofPackages);
    await unpack(one);
  });
  afterAll(async () => {
    await registry?.stop();
    await lab?.down();
  });

  const unpack = (host: LabHost) => host.must('sh /root/kinit.run --quiet', { timeoutMs: 120_000 });
  const kinit = (host: LabHost, command: string) =>
    host.exec(`/usr/local/bin/kinit ${command}`, { timeoutMs: 300_000 });
  const mustKinit = async (host: LabHost, command: string) => {
    const { code, stdout, stderr } = await kinit(host, command);
    expect(code, `${stdout}\n${stderr}`).toBe(0);
    return stdout;
  };
  const runtimeOf = (name: string) =>
    one.must(`${kubectl} get node ${name} -o jsonpath='{.status.nodeInfo.containerRuntimeVersion}'`);
  const isChanged = (events: string) =>
    (JSON.parse(events.trim().split('\n').at(-1) ?? '{}') as { changed?: boolean }).changed;
  /** As JSON, which is YAML too. */
  const configure = (password: string) =>
    one.must('umask 077; cat > /root/kinit.yaml', {
      input: JSON.stringify({
        apiVersion: 'kinit.local/v1alpha1',
        kind: 'HostConfiguration',
        runtime: 'packages',
        registries: [
          {
            host: 'private.example',
            mirrors: [{ url: `https://${registry.host}`, ca: registry.ca, username: registryUser, password }],
          },
        ],
      }),
    });

  it.each([
    ['none is there', '--runtime existing', /\[ERROR CRI\]: there is no container runtime on this host: looked at/],
    ['it is somewhere else', '--cri-socket /run/no.sock', /\[ERROR CRI\]: there is no container runtime at unix:/],
    ['it is dead', '--cri-socket /run/dead.sock', /\[ERROR CRI\]: nobody answers at .*ECONNREFUSED/],
    [
      'it is something else',
      '--cri-socket /run/systemd/private',
      /\[ERROR CRI\]: .* at unix:\/\/\/run\/systemd\/private/,
    ],
  ])('is refused when %s', async (_, flags, message) => {
    await one.must('perl -MIO::Socket::UNIX -e \'IO::Socket::UNIX->new(Local => "/run/dead.sock", Listen => 1)\'');
    const { code, stderr } = await kinit(one, `init ${flags} --output json`);
    await one.must('rm -f /run/dead.sock');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });

  it("gets containerd from the host's own repositories, by apt", async () => {
    await configure('wrong');
    const plan = await mustKinit(one, 'init --config /root/kinit.yaml --dry-run --output plain');
    expect(plan).toContain('would run apt-get update');
    expect(plan).toContain('(holds a secret: not shown)');
    const events = await mustKinit(one, 'init --config /root/kinit.yaml --output json');
    expect(`${plan}${events}`).not.toContain('wrong');
    expect(await runtimeOf('one')).toBe('containerd://1.6.20~ds1');
    expect(await one.must('systemctl show --property=FragmentPath containerd')).toContain('/lib/systemd/system/');
    expect(await one.must('stat -c %a /etc/containerd/config.toml')).toBe('600\n');
  });

  it('pulls from a private registry through its mirror once the password is right', async () => {
    const image = `${registry.host}/private/pause:1`;
    await one.must(`umask 077; cat > /run/registry.crt`, { input: registry.ca });
    await one.must(
      `${ctr} images tag kinit.local/pause:3.10.1 ${image} &&
       ${ctr} images push --tlscacert /run/registry.crt --user '${registryUser}:${registryPassword}' ${image} &&
       ${ctr} images rm ${image}; rm /run/registry.crt`,
    );
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'private' },
      spec: {
        nodeName: 'one',
        tolerations: [{ operator: 'Exists' }],
        containers: [{ name: 'pause', image: 'private.example/private/pause:1' }],
      },
    };
    // The account of the namespace may be a moment behind.
    await eventually(() => one.must(`${kubectl} apply -f -`, { input: JSON.stringify(pod) }), 30_000);
    const reason = "jsonpath='{.status.containerStatuses[0].state.waiting.reason}'";
    await eventually(async () => {
      expect(await one.must(`${kubectl} get pod private -o ${reason}`)).toMatch(/ErrImagePull|ImagePullBackOff/);
    }, 60_000);
    expect(await registry.log()).not.toContain('http.response.status=200 http.response.written=');
    await configure(registryPassword);
    expect(isChanged(await mustKinit(one, 'init --config /root/kinit.yaml --output json'))).toBe(true);
    await one.must(`${kubectl} delete pod private --now && ${kubectl} apply -f -`, { input: JSON.stringify(pod) });
    await one.must(
      `${kubectl} wait --for=condition=Ready pod/private --timeout 60s`.replace('--request-timeout 10s', ''),
    );
  });

  it('has nothing to do on a second run', async () => {
    expect(isChanged(await mustKinit(one, 'init --config /root/kinit.yaml --output json'))).toBe(false);
    const { code, stderr } = await kinit(one, 'init --output json');
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining('give --runtime packages again')]);
  });

  it('is joined by a host with containerd from dnf', async () => {
    await unpack(two);
    const hosts = await hostState(two, ofPackages);
    const command = (await one.must('/usr/local/bin/kinit token create --print-join-command')).trim();
    await mustKinit(two, `${command.replace(/^kinit /, '')} --runtime packages --output json`);
    await eventually(
      async () => expect(await one.must(`${kubectl} get node two --no-headers`)).toMatch(/^two +Ready /),
      60_000,
    );
    expect(await runtimeOf('two')).toBe('containerd://1.6.20~ds1');
    await mustKinit(two, 'reset --force --keep-bundle --output plain');
    expect((await two.exec('rpm -q containerd')).code).not.toBe(0);
    expect(difference(hosts, await hostState(two, ofPackages))).toEqual([]);
  });

  it('is the host that it was after a reset', async () => {
    await mustKinit(one, 'reset --force --output plain');
    expect(difference(before, await hostState(one, ofPackages))).toEqual([]);
    expect((await one.exec('dpkg-query -s containerd runc')).code).not.toBe(0);
  });

  it('works with a containerd that is there, and leaves it as it was', async () => {
    await one.must('DEBIAN_FRONTEND=noninteractive apt-get install -qq -y containerd', { timeoutMs: 120_000 });
    // A lab host may not lower OOM scores.
    await one.must(
      `printf '[plugins."io.containerd.grpc.v1.cri"]\\n  restrict_oom_score_adj = true\\n' >> /etc/containerd/config.toml
       sed -i 's/^  \\[plugins."io.containerd.grpc.v1.cri"\\]$//' /etc/containerd/config.toml
       systemctl restart containerd`,
    );
    const installed = await hostState(one, ofContainerd);
    await unpack(one);
    await mustKinit(one, 'init --cri-socket /run/containerd/containerd.sock --output json');
    expect(await runtimeOf('one')).toBe('containerd://1.6.20~ds1');
    expect(await mustKinit(one, 'images list')).toMatch(/kube-apiserver:\S+ .* 1 +yes/);
    expect(isChanged(await mustKinit(one, 'init --runtime existing --output json'))).toBe(false);
    await mustKinit(one, 'reset --force --output plain');
    expect(difference(installed, await hostState(one, ofContainerd))).toEqual([]);
    expect(await one.must('ctr -n k8s.io images ls -q; ctr -n k8s.io containers ls -q')).toBe('');
  });
});

/** containerd and runc as one rpm in the repository that the lab's dnf asks, made of Debian's programs. */
async function makeRpm(host: LabHost, repository: string): Promise<void> {
  for (const name of ['containerd', 'runc']) await host.copy(await packageFile(repository, name), '/root/');
  const spec = `Name: containerd
Version: 1.6.20
Release: 1
Summary: containerd
License: Apache-2.0
AutoReqProv: no
%define _binary_payload w0.gzdio
%define debug_package %{nil}
%define __os_install_post %{nil}
%description
containerd
%install
cp -a /root/files/. %{buildroot}/
%files
/usr/bin/*
/usr/sbin/runc
/usr/lib/systemd/system/containerd.service
`;
  await host.must('cat > /root/containerd.spec', { input: spec });
  await host.must(
    `mkdir /root/files && cd /root && for deb in *.deb; do dpkg-deb --extract $deb files; done
mkdir -p files/usr/lib/systemd/system && cp files/lib/systemd/system/containerd.service files/usr/lib/systemd/system/
rm -rf files/lib files/etc files/usr/share
rpmbuild -bb --define '_rpmdir /srv/repo' containerd.spec
rm -rf /srv/repo/repodata && createrepo_c --quiet /srv/repo
echo 9 > /etc/dnf/vars/releasever
rm -rf /root/files /root/*.deb /root/containerd.spec /root/rpmbuild`,
    { timeoutMs: 120_000 },
  );
}
