/** Hosts that do not fit together, do not reach each other, or bear the marks of another cluster: told before any is changed. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Lab, LabHost } from '../../lab/lab.ts';
import { kinit } from '../harness.ts';

export interface TwoHosts {
  lab: Lab;
  /** Fresh, with the bundle unpacked. */
  one: LabHost;
  two: LabHost;
  folder: string;
  /** Fails when something is not on host two as it was. */
  untouched(): Promise<void>;
}

export function unfitHosts(get: () => TwoHosts): void {
  /** `kinit up` with one as control plane and two as worker; it must be refused by preflight. */
  async function refusal(cluster: object, ...flags: string[]): Promise<string> {
    const { lab, one, two, folder } = get();
    const target = ({ name, ip }: LabHost, role: string) => ({
      ...{ name, address: ip, roles: [role] },
      ...{ identityFile: lab.sshKeyPath, knownHosts: lab.knownHosts },
    });
    const hosts = [target(one, 'control-plane'), target(two, 'worker')];
    const path = join(folder, 'unfit.yaml');
    await writeFile(path, JSON.stringify({ apiVersion: 'kinit.local/v1alpha1', kind: 'Inventory', cluster, hosts }));
    const words = ['--output', 'plain', '-i', path, '--kubeconfig-out', join(folder, 'kubeconfig'), ...flags];
    const { code, stdout, stderr } = await kinit('up', ...words);
    expect(code, `${stdout}${stderr}`).toBe(2);
    return `${stdout}${stderr}`;
  }

  /** Changes something on a host, and takes it back whatever happens. */
  async function during<T>(host: LabHost, change: string, undo: string, work: () => Promise<T>): Promise<T> {
    await host.must(change);
    try {
      return await work();
    } finally {
      await host.must(undo);
    }
  }

  it('that is a cloned host is told before anything is copied', async () => {
    const { one, two } = get();
    const id = (await one.must('cat /etc/machine-id')).trim();
    const clone = `cp /etc/machine-id /run/own-id && echo ${id} > /etc/machine-id`;
    const text = await during(two, clone, 'cat /run/own-id > /etc/machine-id && rm /run/own-id', () => refusal({}));
    expect(text).toContain(`[ERROR DuplicateMachineID]: one and two have the same machine-id ${id}`);
    expect(text).toMatch(/systemd-machine-id-setup/);
  });

  const drop = (action: string) => `iptables ${action} INPUT -p tcp --dport 6443 -j DROP`;
  const reject = (action: string) => `iptables ${action} INPUT -p udp --dport 8472 -j REJECT`;
  const blocked = (work: () => Promise<string>) => {
    const { one, two } = get();
    return during(one, drop('-I'), drop('-D'), () => during(two, reject('-I'), reject('-D'), work));
  };

  it('that is a port that is blocked between hosts is told with both hosts', async () => {
    const text = await blocked(() => refusal({}));
    const { one, two } = get();
    expect(text).toContain(
      `[ERROR Reachable-6443]: two cannot reach one (${one.ip}) on port 6443/tcp (API server): no answer`,
    );
    expect(text).toContain(
      `[ERROR Reachable-8472]: one cannot reach two (${two.ip}) on port 8472/udp (pod network, VXLAN)`,
    );
    expect(text).toContain('open 6443/tcp on one for two');
    expect(text).toContain('--ignore-preflight-errors=Reachable-6443,Reachable-8472');
  });

  it('between hosts can be ignored by name; what another cluster left, and an endpoint that is nowhere, stop it then', async () => {
    const { one } = get();
    const leave =
      'mkdir -p /etc/cni/net.d /var/lib/rancher/k3s && touch /etc/cni/net.d/05-other.conflist && ip link add cni0 type bridge';
    const clean =
      'ip link delete cni0; rm -r /var/lib/rancher /etc/cni/net.d/05-other.conflist; rmdir --ignore-fail-on-non-empty -p /etc/cni/net.d';
    const ignored = ['--ignore-preflight-errors', 'reachable-6443,REACHABLE-8472'];
    const text = await during(one, leave, clean, () =>
      blocked(() => refusal({ controlPlaneEndpoint: 'nowhere.invalid:6443' }, ...ignored)),
    );
    for (const pattern of [
      /warning: \[Reachable-6443\] two cannot reach one/,
      /error \(host one, phase preflight\): preflight checks failed; nothing was changed/,
      /\[ERROR ControlPlaneEndpoint\]: the name nowhere\.invalid of the endpoint nowhere\.invalid:6443 does not resolve/,
      /\[ERROR LeftoverInterfaces\]: interfaces of another pod network are in the way: cni0/,
      /\[ERROR LeftoverCNI\]: \/etc\/cni\/net\.d\/05-other\.conflist would be used for pods/,
    ])
      expect(text).toMatch(pattern);
    await get().untouched();
  });
}
