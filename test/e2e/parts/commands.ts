/** kubeadm's commands beside init, join and reset, on a control plane of its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kinitVersion } from '../../../src/machinery/version.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { lab as clusterLab, eventually, root } from '../harness.ts';

const bundle = `${root}/dist/kinit-${kinitVersion}-linux-amd64.run`;
const copy = '/root/kinit.run';
const kinit = '/usr/local/bin/kinit';
const pki = '/etc/kubernetes/pki';

const config = `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
patches: {directory: /root/patches}
skipPhases: [addon/coredns]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
encryptionAlgorithm: ECDSA-P256
certificateValidityPeriod: 100h0m0s
scheduler:
  extraArgs: [{name: v, value: "2"}]
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 42
`;

const patches: Record<string, string> = {
  'kube-scheduler.yaml': 'metadata: {labels: {tier: patched}}\n',
  'kube-apiserver0+json.json': '[{"op": "add", "path": "/metadata/annotations/patched", "value": "yes"}]',
  'kubeletconfiguration+merge.yaml': 'containerLogMaxFiles: 7\n',
};

export function kubeadmCommands(): void {
  describe("kubeadm's commands", () => {
    let lab: Lab;
    let host: LabHost;
    const run = (command: string) => host.exec(`${kinit} ${command}`, { timeoutMs: 300_000 });
    const must = (command: string) => host.must(`${kinit} ${command}`, { timeoutMs: 300_000 });
    const kubectl = (command: string, kubeconfig = '/etc/kubernetes/admin.conf') =>
      host.must(`/usr/local/bin/kubectl --kubeconfig ${kubeconfig} ${command}`);
    const write = (path: string, text: string) =>
      host.must(`mkdir -p "$(dirname ${path})" && cat > ${path}`, { input: text });

    beforeAll(async () => {
      lab = await createLab({ name: `${clusterLab}-commands`, hosts: [{ name: 'one', flavour: 'debian' }] });
      host = lab.host('one');
      await host.copy(bundle, copy);
      await host.must(`sh ${copy} --quiet`, { timeoutMs: 120_000 });
      await write('/root/config.yaml', config);
      for (const [name, text] of Object.entries(patches)) await write(`/root/patches/${name}`, text);
    }, 180_000);
    afterAll(() => lab?.down());

    it('check, print and migrate configurations', async () => {
      expect(await must('config validate --config /root/config.yaml')).toBe('ok\n');
      await must('config print init-defaults --component-configs KubeletConfiguration > /root/defaults.yaml');
      expect(await must('config validate --config /root/defaults.yaml')).toBe('ok\n');
      await write(
        '/root/old.yaml',
        'apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nscheduler:\n  extraArgs: {v: "2"}\n',
      );
      await must('config migrate --old-config /root/old.yaml --new-config /root/new.yaml');
      expect(await must('config validate --config /root/new.yaml')).toBe('ok\n');
      const refused = await run('config validate --config /root/old.yaml');
      expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining('kinit config migrate')]);
    });

    it('show what init would write, and change nothing', async () => {
      const shown = await must('init --config /root/config.yaml --dry-run-dir /root/dry --output plain');
      expect(shown).toContain('would write /etc/kubernetes/manifests/kube-scheduler.yaml');
      expect(shown).toContain('+    tier: patched');
      expect(shown).not.toContain('PRIVATE KEY');
      expect(await host.must('cat /root/dry/var/lib/kubelet/config.yaml')).toContain('maxPods: 42');
      expect(await host.must('ls -A /etc/kubernetes 2>/dev/null; true')).toBe('');
    });

    it('run single phases, which init then finds done', async () => {
      await must('init phase certs all --config /root/config.yaml --output plain');
      await must('init phase kubeconfig admin --config /root/config.yaml --output plain');
      const before = await host.must(`sha256sum ${pki}/*.crt /etc/kubernetes/admin.conf`);
      const result = await run('init --config /root/config.yaml --output plain');
      expect(result.code, `${result.stdout}${result.stderr}`).toBe(0);
      expect(result.stdout).toMatch(/\[certs\/ca\] .*: unchanged/);
      expect(await host.must(`sha256sum ${pki}/*.crt /etc/kubernetes/admin.conf`)).toBe(before);
      expect(await host.must(`openssl x509 -in ${pki}/apiserver.crt -noout -text`)).toContain('id-ecPublicKey');
    });

    it('have applied patches and left out the phases that were to be skipped', async () => {
      expect(await kubectl('-n kube-system get pods -l tier=patched -o name')).toMatch(/^pod\/kube-scheduler-/);
      const annotations = await kubectl(
        "-n kube-system get pods -l component=kube-apiserver -o jsonpath='{.items[0].metadata.annotations.patched}'",
      );
      expect(annotations).toBe('yes');
      expect(await kubectl("get nodes -o jsonpath='{.items[0].status.capacity.pods}'")).toBe('42');
      expect(await host.must('cat /var/lib/kubelet/config.yaml')).toContain('containerLogMaxFiles: 7');
      expect(await kubectl('-n kube-system get deployments -o name')).toBe('');
      await must('init phase addon coredns --config /root/config.yaml --output plain');
      expect(await kubectl('-n kube-system get deployments -o name')).toBe('deployment.apps/coredns\n');
    });

    it('print the command for joining with a token that is valid', async () => {
      const printed = await must('init phase show-join-command --config /root/config.yaml --output plain');
      expect(printed).toMatch(/kinit join \S+:6443 --token \S+ --discovery-token-ca-cert-hash sha256:[0-9a-f]{64}/);
      expect(await must('token generate')).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}\n$/);
    });

    it('list the images and find them loaded', async () => {
      const images = (await must('config images list --config /root/config.yaml')).trim().split('\n');
      expect(await must('config images pull --config /root/config.yaml')).toBe(
        images.map((image) => `[config/images] Pulled ${image}\n`).join(''),
      );
      const present = await host.must('/opt/kinit/current/bin/ctr --namespace k8s.io images ls -q');
      expect(images.filter((image) => !present.includes(image))).toEqual([]);
    });

    it('make a kubeconfig for a user, whom the cluster knows by name and groups', async () => {
      await must('kubeconfig user --client-name ann --org dev,ops --validity-period 1h > /root/ann.conf');
      const asked = await kubectl('auth whoami -o json', '/root/ann.conf');
      expect(JSON.parse(asked)).toMatchObject({
        status: { userInfo: { username: 'ann', groups: ['dev', 'ops', 'system:authenticated'] } },
      });
    });

    it('renew all certificates with the period of the configuration, and the cluster goes on with them', async () => {
      const expiring = await must('certs check-expiration');
      expect(expiring).toContain('[check-expiration] Reading configuration from the "kubeadm-config" ConfigMap');
      expect(expiring).toMatch(/\nadmin\.conf +\w{3} \d\d, \d{4} \d\d:\d\d UTC +4d +ca +no {6}\n/);
      await host.must(`cp -a ${pki} /root/pki-before`);
      const renewed = await must('certs renew all');
      expect(renewed).toContain('certificate for serving the Kubernetes API renewed\n');
      expect(renewed).not.toContain('MISSING');
      await host.must(
        `! cmp -s ${pki}/apiserver.crt /root/pki-before/apiserver.crt && cmp ${pki}/ca.crt /root/pki-before/ca.crt`,
      );
      const served = () =>
        host.must('echo | openssl s_client -connect localhost:6443 2>/dev/null | openssl x509 -noout -fingerprint');
      const own = await host.must(`openssl x509 -in ${pki}/apiserver.crt -noout -fingerprint`);
      // As kubeadm says: the components have to be started again.
      await host.must('mkdir /root/manifests && mv /etc/kubernetes/manifests/*.yaml /root/manifests/');
      await eventually(() => host.must("! ss -Hltn '( sport = :6443 or sport = :2379 )' | grep -q ."), 60_000);
      await host.must('mv /root/manifests/*.yaml /etc/kubernetes/manifests/');
      await eventually(async () => expect(await served()).toBe(own), 120_000);
      await eventually(() => kubectl('get --raw /readyz'), 120_000);
      const json = JSON.parse(await must('certs check-expiration -o json')) as {
        certificates: { missing?: boolean }[];
      };
      expect(json.certificates).toHaveLength(11);
      expect(json.certificates.filter(({ missing }) => missing)).toEqual([]);
    }, 300_000);

    it('upload a changed configuration', async () => {
      await host.must("sed -i 's/100h0m0s/200h0m0s/' /root/config.yaml");
      await must('init phase upload-config kubeadm --config /root/config.yaml --output plain');
      expect(await kubectl('-n kube-system get configmap kubeadm-config -o yaml')).toContain(
        'certificateValidityPeriod: 200h0m0s',
      );
      expect(await must('certs renew scheduler.conf')).toContain('for the scheduler manager to use renewed');
      expect(await must('certs check-expiration')).toMatch(/\nscheduler\.conf .* 8d +ca /);
    });

    it('stop the node with a single phase of reset', async () => {
      await must('reset phase cleanup-node --output plain');
      expect(await host.must('ls -A /etc/kubernetes 2>/dev/null; true')).toBe('');
      expect((await host.exec('systemctl is-active kubelet')).stdout.trim()).toBe('inactive');
    });
  });
}
