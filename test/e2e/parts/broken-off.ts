/** kinit killed in the middle, on a host of its own: it goes on where it was, and a reset still leaves nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kinitVersion } from '../../../src/machinery/version.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { difference, hostState } from '../../parts/host-state.ts';
import { lab as clusterLab, root } from '../harness.ts';

const bundle = `${root}/dist/kinit-${kinitVersion}-linux-amd64.run`;
const copy = '/root/kinit.run';
const events = '/root/events.jsonl';
const ownFiles = [new RegExp(`^content ${events}`)];
const begins = (phase: string) => `grep -q '"phase-started","phase":"${phase}"' ${events}`;

/** Enough of the installer for every kind of trace; kubeadm's names for the phases. */
const phases = ['host/sysctl', 'runtime/install', 'images/control-plane', 'kubelet-start', 'wait-control-plane'];

export function brokenOff(): void {
  describe('kinit killed with -9', () => {
    let lab: Lab;
    let host: LabHost;
    let before: string[] = [];

    beforeAll(async () => {
      lab = await createLab({ name: `${clusterLab}-single`, hosts: [{ name: 'one', flavour: 'debian' }] });
      host = lab.host('one');
      await host.copy(bundle, copy);
      await host.must(`: > ${events}`);
      before = await hostState(host, ownFiles);
    }, 120_000);
    afterAll(() => lab?.down());

    const run = (command: string) => host.exec(`/usr/local/bin/kinit ${command}`, { timeoutMs: 300_000 });
    const reset = async () => {
      const { code, stdout, stderr } = await run('reset --force --output plain');
      expect(code, `${stdout}\n${stderr}`).toBe(0);
    };
    const expectAsBefore = async () => {
      expect(difference(before, await hostState(host, ownFiles))).toEqual([]);
    };
    const unpack = () => host.must(`sh ${copy} --quiet`, { timeoutMs: 120_000 });

    /** Runs kinit and ends it as soon as the condition holds. */
    const killWhen = async (command: string, condition: string) => {
      const seen = await host.must(
        `: > ${events}
/usr/local/bin/kinit ${command} --output json > ${events} 2>&1 &
until ${condition}; do
  kill -0 $! || { cat ${events}; exit 1; }
  sleep 0.02
done
kill -9 $(cat /run/kinit.lock)
wait $!
grep -c '"type":"ended"' ${events} || true`,
        { timeoutMs: 300_000 },
      );
      expect(seen.trim()).toBe('0');
    };

    it.each([
      ['the unit of containerd is there', 'test -e /etc/systemd/system/containerd.service'],
      ['the kubelet is to be started', begins('kubelet-start')],
      ['the API server is waited for', begins('wait-control-plane')],
    ])('when %s is forgotten after a reset', async (_, condition) => {
      await unpack();
      await killWhen('init', condition);
      await reset();
      await expectAsBefore();
    });

    it('again and again still ends with a cluster, and then has nothing to do', async () => {
      await unpack();
      for (const phase of [...phases, 'addon/coredns']) await killWhen('init', begins(phase));
      const last = await run('init --output plain');
      expect(last.code, `${last.stdout}\n${last.stderr}`).toBe(0);
      const admin =
        '/opt/kinit/current/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /run/kubectl-cache';
      expect(await host.must(`${admin} get nodes --no-headers; rm -rf /run/kubectl-cache`)).toMatch(/^one +Ready /);
      const again = await run('init --output json');
      expect(again.code, again.stderr).toBe(0);
      expect(JSON.parse(again.stdout.trim().split('\n').at(-1) ?? '{}')).toMatchObject({ ok: true, changed: false });
    }, 400_000);

    it('during a reset leaves nothing after another one', async () => {
      for (const phase of ['cleanup-node/containers', 'undo']) await killWhen('reset --force', begins(phase));
      await reset();
      await expectAsBefore();
    });
  });
}
