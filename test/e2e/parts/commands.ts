/** kubeadm's commands beside init, join and reset, on a control plane of its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kinitVersion } from '../../../src/machinery/version.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { eventually } from '../../parts/eventually.ts';
import { lab as clusterLab, root } from '../harness.ts';

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
imageRepository: registry.example.test/k8s
etcd: {local: {imageRepository: registry.example.test/etcd}}
encryptionAlgorithm: ECDSA-P384
certificateValidityPeriod: 100h0m0s
scheduler:
  extraArgs: [{name: v, value: "2"}]
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 42
serverTLSBootstrap: true
`;

const patches: Record<string, string> = {
  'kube-scheduler.yaml': 'metadata: {labels: {tier: patched}}\n',
  'kube-apiserver0+json.json': '[{"op": "add", "path": "/metadata/annotations/patched", "value": "yes"}]',
  'kubeletconfiguration+merge.yaml': 'containerLogMaxFiles: 7\n',
};

/** An authority whose key never comes to /etc/kubernetes. */
const authority = `set -e
mkdir -p /root/ca ${pki}
openssl req -x509 -newkey rsa:2048 -nodes -keyout /root/ca/ca.key -out /root/ca/ca.crt -days 30 -subj /CN=elsewhere \\
  -addext keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign 2>/dev/null
cp /root/ca/ca.crt ${pki}/
`;

/** Has all requests signed by it, and completes the kubeconfigs. */
const signing = `set -e
kinit certs generate-csr >/dev/null
sign() {
  { echo extendedKeyUsage=$2; openssl req -in $1.csr -noout -text | grep -A1 'Subject Alternative' | tail -1 |
    sed 's/^ */subjectAltName=/; s/IP Address:/IP:/g'; } > /root/ext
  openssl x509 -req -in $1.csr -CA /root/ca/ca.crt -CAkey /root/ca/ca.key -CAcreateserial -days 30 -out $1.crt -extfile /root/ext 2>/dev/null
}
cd ${pki}
sign apiserver serverAuth
sign apiserver-kubelet-client clientAuth
cd /etc/kubernetes
for name in admin super-admin kubelet controller-manager scheduler; do
  sign $name.conf clientAuth
  config="/opt/kinit/current/bin/kubectl --kubeconfig $name.conf config"
  $config set-cluster kubernetes --certificate-authority ${pki}/ca.crt --embed-certs >/dev/null
  $config set-credentials "$($config view -o jsonpath='{.users[0].name}')" --client-certificate $name.conf.crt --embed-certs >/dev/null
done
`;

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

    it("have the kubelet's serving certificate signed once somebody approves it", async () => {
      const requests = () =>
        kubectl(
          'get csr -o jsonpath=\'{.items[?(@.spec.signerName=="kubernetes.io/kubelet-serving")].metadata.name}\'',
        );
      const name = await eventually(async () => {
        const found = await requests();
        expect(found).toMatch(/^csr-/);
        return found;
      }, 30_000);
      await kubectl(`certificate approve ${name}`);
      const verified = `openssl s_client -connect localhost:10250 -CAfile ${pki}/ca.crt </dev/null 2>&1`;
      await eventually(async () => expect(await host.must(verified)).toContain('Verify return code: 0 (ok)'), 30_000);
    });

    it('start a component again whose manifest was edited in its place', async () => {
      const pod = () =>
        kubectl(
          "-n kube-system get pods -l component=kube-scheduler -o jsonpath='{.items[0].metadata.uid} {.items[0].status.phase} {.items[0].spec.containers[0].command}'",
        );
      const before = (await pod()).split(' ')[0]!;
      await host.must("sed -i 's/--v=2/--v=3/' /etc/kubernetes/manifests/kube-scheduler.yaml");
      await eventually(async () => {
        const now = await pod();
        expect(now).toMatch(/ Running .*--v=3/);
        expect(now).not.toContain(before);
      }, 60_000);
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

    it('make a cluster whose authority is elsewhere', async () => {
      await host.must(`sh ${copy} --quiet`, { timeoutMs: 120_000 });
      await write('/root/authority.sh', authority);
      await host.must('sh /root/authority.sh');
      const refused = await run('init --output plain --ignore-preflight-errors all');
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain(`${pki}/apiserver.crt or its key is missing`);
      await write('/root/sign.sh', signing);
      await host.must('sh /root/sign.sh', { timeoutMs: 60_000 });
      await must('init --output plain --ignore-preflight-errors all');
      expect(await kubectl('get nodes')).toMatch(/ Ready +control-plane /);
      expect(await must('certs renew apiserver')).toContain('Detected external ca authority');
      expect(await host.must('cat /etc/kubernetes/manifests/kube-controller-manager.yaml')).toContain(
        '- --cluster-signing-key-file=\n',
      );
      expect((await run('init phase upload-certs --upload-certs --output plain')).stderr).toContain(
        "can't use upload-certs with an external CA",
      );
      await must('reset --force --output plain');
    }, 300_000);
  });
}
