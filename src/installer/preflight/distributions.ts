/** Other ways to have Kubernetes on this host: each brings a kubelet, a container runtime and a pod network of its own. */
import { exists } from '../host/host.ts';
import { type Check, error, type Finding, warning } from './check.ts';

interface Distribution {
  name: string;
  units: readonly string[];
  folder: string;
  remove: string;
}

const distributions: readonly Distribution[] = [
  {
    name: 'k3s',
    units: ['k3s', 'k3s-agent'],
    folder: '/var/lib/rancher/k3s',
    remove: 'k3s-uninstall.sh or k3s-agent-uninstall.sh',
  },
  { name: 'RKE2', units: ['rke2-server', 'rke2-agent'], folder: '/var/lib/rancher/rke2', remove: 'rke2-uninstall.sh' },
  {
    name: 'MicroK8s',
    units: ['snap.microk8s.daemon-kubelite', 'snap.microk8s.daemon-containerd'],
    folder: '/var/snap/microk8s',
    remove: 'snap remove --purge microk8s',
  },
  { name: 'k0s', units: ['k0scontroller', 'k0sworker'], folder: '/var/lib/k0s', remove: 'k0s stop && k0s reset' },
  { name: 'MicroShift', units: ['microshift'], folder: '/var/lib/microshift', remove: 'microshift-cleanup-data --all' },
];

export const otherDistributions: Check = async ({ host }) => {
  const findings: Finding[] = [];
  const names = distributions.flatMap(({ units }) => units);
  const { stdout } = await host.run('systemctl', ['is-active', ...names], { observe: true });
  const states = stdout.split('\n');
  for (const { name, units, folder, remove } of distributions) {
    const running = units.find((unit) => /^(active|activating)$/.test(states[names.indexOf(unit)] ?? ''));
    const advice = `remove it: ${remove}`;
    if (running)
      findings.push(error('OtherDistribution', `${name} is running on this host (${running}.service)`, advice));
    else if (await exists(host, folder))
      findings.push(warning('OtherDistribution', `${name} is or was on this host: ${folder} exists`, advice));
  }
  return findings;
};
