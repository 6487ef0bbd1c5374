/**
 * Installs what the lab, the bundle and the tests need of the machine's distribution. Changes nothing when all is there.
 *
 * Needs root on a Debian or Ubuntu machine; says so otherwise, and names the packages.
 */
import { spawnSync } from 'node:child_process';

/** Debian package → why; with the argument `tests` also those that only tests need. */
const packages: Record<string, string> = {
  mmdebstrap: 'root file systems of the bundle and of lab hosts',
  'debian-archive-keyring': "Debian's signatures, on Ubuntu machines",
  'systemd-container': 'lab hosts (systemd-nspawn)',
  'openssh-client': 'talking to lab hosts',
  iproute2: "the lab's network",
  iptables: 'tests of kube-proxy and of the pod network',
  nftables: 'the iptables command on newer distributions',
  conntrack: 'tests of kube-proxy',
  kmod: 'modules of lab hosts',
  procps: 'finding processes',
  openssl: 'tests that certificates are what others expect',
  'etcd-server': 'tests of kube-apiserver on a real etcd',
  'qemu-user-static': 'looking whether programs of a bundle for another architecture run',
  'ca-certificates': 'the trust store in images',
  git: 'finding out what has changed since the last build',
  ...(process.argv[2] === 'tests'
    ? { vagrant: 'checking vagrant/Vagrantfile', 'vagrant-libvirt': 'the same, for a provider that is free software' }
    : {}),
};

function installed(name: string): boolean {
  const { stdout } = spawnSync('dpkg-query', ['-s', name], { encoding: 'utf8' });
  return stdout.includes('Status: install ok installed');
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

if (spawnSync('dpkg-query', ['--version']).status !== 0)
  fail(`this needs a Debian or Ubuntu machine; elsewhere install what belongs to: ${Object.keys(packages).join(' ')}`);
const missing = Object.keys(packages).filter((name) => !installed(name));
if (missing.length) {
  if (process.getuid?.() !== 0)
    fail(`not root; as root: apt-get install -y --no-install-recommends ${missing.join(' ')}`);
  process.stdout.write(`installing ${missing.map((name) => `${name} (${packages[name]})`).join(', ')}\n`);
  const apt = (...args: string[]) => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const { status } = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', '-qq', ...args], {
      stdio: 'inherit',
      env,
    });
    if (status !== 0) fail(`apt-get ${args.join(' ')} exited ${status}; see its message above`);
  };
  apt('update');
  // Services of packages that are only wanted for their programs (etcd) must not start.
  spawnSync('sh', [
    '-c',
    '[ -e /usr/sbin/policy-rc.d ] || { printf "#!/bin/sh\\nexit 101\\n" > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; touch /run/kinit-policy; }',
  ]);
  apt('install', '-y', '--no-install-recommends', ...missing);
  spawnSync('sh', ['-c', '[ ! -e /run/kinit-policy ] || rm -f /usr/sbin/policy-rc.d /run/kinit-policy']);
}
