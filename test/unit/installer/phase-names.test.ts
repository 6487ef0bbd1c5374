/** kubeadm's names of phases, as `kinit init phase …` and `--skip-phases` take them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addInitCommand } from '../../../src/cli/init.ts';
import { addJoinCommand } from '../../../src/cli/join.ts';
import { addPhases } from '../../../src/cli/phase.ts';
import { addResetCommand } from '../../../src/cli/reset.ts';
import { parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { initPhases } from '../../../src/installer/phases/init.ts';
import { joinPhases } from '../../../src/installer/phases/join.ts';
import { joinControlPlanePhases } from '../../../src/installer/phases/join-control-plane.ts';
import { resetPhases } from '../../../src/installer/phases/reset.ts';
import { runInit } from '../../../src/installer/phases/run.ts';
import { phasesOf, selectableNames } from '../../../src/installer/phases/select.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const lists = { init: initPhases, join: [...joinPhases, ...joinControlPlanePhases], reset: resetPhases };

/** Command lines of kubeadm v1.36 for one phase each. */
const kubeadmPhases: Record<keyof typeof lists, string> = {
  init: `preflight; certs all; certs ca; certs apiserver; certs apiserver-kubelet-client; certs front-proxy-ca;
    certs front-proxy-client; certs etcd-ca; certs etcd-server; certs etcd-peer; certs etcd-healthcheck-client;
    certs apiserver-etcd-client; certs sa; kubeconfig all; kubeconfig admin; kubeconfig super-admin; kubeconfig kubelet;
    kubeconfig controller-manager; kubeconfig scheduler; etcd local; control-plane all; control-plane apiserver;
    control-plane controller-manager; control-plane scheduler; kubelet-start; wait-control-plane; upload-config all;
    upload-config kubeadm; upload-config kubelet; upload-certs; mark-control-plane; bootstrap-token;
    kubelet-finalize all; kubelet-finalize enable-client-cert-rotation; addon all; addon coredns; addon kube-proxy;
    show-join-command`,
  join: `preflight; control-plane-prepare all; control-plane-prepare download-certs; control-plane-prepare certs;
    control-plane-prepare kubeconfig; control-plane-prepare control-plane; kubelet-start; etcd-join;
    kubelet-wait-bootstrap; control-plane-join all; control-plane-join mark-control-plane; wait-control-plane`,
  reset: 'preflight; remove-etcd-member; cleanup-node',
};

describe.each(Object.keys(lists) as (keyof typeof lists)[])('kinit %s phase', (command) => {
  const lines = kubeadmPhases[command].split(';').map((line) => line.trim().split(' '));

  it.each(lines)('has %s %s', async (...words) => {
    const program = new Command('kinit');
    for (const add of [addInitCommand, addJoinCommand, addResetCommand]) add(program);
    await addPhases(program);
    let at: Command | undefined = program;
    for (const word of [command, 'phase', ...words.filter(Boolean)])
      at = at?.commands.find((one) => one.name() === word);
    expect(at?.description()).toBeTruthy();
    expect(phasesOf(command, words.filter(Boolean).join('/'), lists[command])).toBeDefined();
  });
});

describe('a name of phases', () => {
  it.each([
    ['init', 'certs/apiserver', ['certs/apiserver']],
    ['init', 'upload-config/all', ['upload-config/cluster-admins', 'upload-config/kubeadm', 'upload-config/kubelet']],
    ['init', 'kubelet-finalize/all', ['kubelet-finalize']],
    ['reset', 'cleanup-node', resetPhases.map(({ name }) => name)],
    ['init', 'cert', undefined],
  ] as const)('of %s, %s, stands for %j', (command, name, expected) =>
    expect(phasesOf(command, name, lists[command])).toEqual(expected),
  );

  it('of kubeadm can be skipped, one that nobody knows cannot', () => {
    const file = (phase: string) =>
      parseConfig(`apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nskipPhases: [${phase}]\n`, 'c.yaml');
    const names = selectableNames('init', initPhases);
    const identity = { hostname: 'cp1', address: '10.0.0.11' };
    for (const phase of ['upload-certs', 'addon/kube-proxy', 'certs/all', 'kubelet-finalize/all']) {
      expect(resolveInit({}, file(phase), identity, names).skipPhases).toEqual([phase]);
    }
    expect(() => resolveInit({}, file('upload-cert'), identity, names)).toThrow('did you mean "upload-certs"?');
  });
});

describe('phases that run on their own', () => {
  const run = async (root: string, phases: string[]) => {
    const config = join(root, 'config.yaml');
    writeFileSync(
      config,
      'apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.0.0.11}\nskipPhases: [certs]\n',
    );
    await runInit({ phases, ignorePreflightErrors: ['all'] }, config, {
      host: scratchHost(root),
      dryRun: false,
      signal: new AbortController().signal,
      events: () => undefined,
    });
  };
  it('are made although the configuration leaves them out, and noted for the next run', async () => {
    const root = scratchRoot();
    await run(root, ['certs/ca']);
    expect((await scratchHost(root).stat('/etc/kubernetes/pki/ca.crt'))?.type).toBe('file');
    expect((await openJournal(scratchHost(root))).has('note:init')).toBe(true);
  });
  it('leave no note when they only look', async () => {
    const root = scratchRoot();
    await run(root, ['preflight']);
    expect((await openJournal(scratchHost(root))).entries).toEqual([]);
  });
});
