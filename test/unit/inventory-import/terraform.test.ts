import { describe, expect, it } from 'vitest';
import { importTerraform } from '../../../src/installer/inventory/import/terraform.ts';
import { groupsOfTags } from '../../../src/installer/inventory/import/terraform-resources.ts';

const read = (document: object) => importTerraform([{ name: 'state', text: JSON.stringify(document) }]);
const resource = (type: string, name: string, ...instances: object[]) => ({
  mode: 'managed',
  type,
  name,
  instances: instances.map((attributes, index) => ({ index_key: index, attributes })),
});
const state = (...resources: object[]) => ({ version: 4, terraform_version: '1.9.0', resources });

describe('a Terraform state', () => {
  it.each<[string, object, object]>([
    [
      'aws_instance',
      {
        ami: 'ami-1',
        public_ip: '3.3.3.3',
        private_ip: '10.0.0.1',
        availability_zone: 'eu-1a',
        tags: { Name: 'cp1', Role: 'master' },
      },
      {
        name: 'cp1',
        groups: ['master'],
        address: '3.3.3.3',
        privateAddress: '10.0.0.1',
        user: 'ubuntu',
        labels: { 'topology.kubernetes.io/zone': 'eu-1a' },
      },
    ],
    [
      'google_compute_instance',
      {
        name: 'cp1',
        zone: 'projects/p/zones/europe-west1-b',
        labels: { role: 'control-plane' },
        tags: ['k8s'],
        network_interface: [{ network_ip: '10.0.0.1', access_config: [{ nat_ip: '3.3.3.3' }] }],
        boot_disk: [{ initialize_params: [{ image: 'https://x/images/debian-12-bookworm' }] }],
      },
      {
        groups: ['control-plane', 'k8s'],
        address: '3.3.3.3',
        user: 'debian',
        labels: { 'topology.kubernetes.io/zone': 'europe-west1-b' },
      },
    ],
    [
      'google_compute_instance',
      {
        name: 'x',
        metadata: { 'ssh-keys': 'ops:ssh-ed25519 AAAA ops' },
        network_interface: [{ network_ip: '10.0.0.1' }],
      },
      { address: '10.0.0.1', user: 'ops', internal: true },
    ],
    [
      'azurerm_linux_virtual_machine',
      { name: 'cp1', admin_username: 'azureuser', public_ip_address: '3.3.3.3', private_ip_address: '10.0.0.1' },
      { name: 'cp1', user: 'azureuser', address: '3.3.3.3', privateAddress: '10.0.0.1' },
    ],
    [
      'hcloud_server',
      {
        name: 'cp1',
        image: 'ubuntu-24.04',
        ipv4_address: '3.3.3.3',
        network: [{ ip: '10.0.0.1' }],
        labels: { worker: 'true' },
      },
      { name: 'cp1', user: 'root', address: '3.3.3.3', privateAddress: '10.0.0.1', groups: ['worker'] },
    ],
    [
      'libvirt_domain',
      {
        name: 'cp1',
        disk: [{ volume_id: '/pool/fedora-41.qcow2' }],
        network_interface: [{ hostname: 'cp1', addresses: ['fe80::1', '192.168.122.9'] }],
      },
      { name: 'cp1', user: 'fedora', address: '192.168.122.9', internal: true },
    ],
    [
      'openstack_compute_instance_v2',
      { name: 'cp1', image_name: 'Rocky-9', access_ip_v4: '10.0.0.1' },
      { user: 'rocky', address: '10.0.0.1' },
    ],
    [
      'digitalocean_droplet',
      { name: 'cp1', ipv4_address: '3.3.3.3', tags: ['node'] },
      { user: 'root', groups: ['node'] },
    ],
  ])('has the machine in %s', (type, attributes, expected) => {
    const image = {
      ...resource('aws_ami', 'u', { id: 'ami-1', name: 'ubuntu/images/hvm-ssd/ubuntu-noble-24.04' }),
      mode: 'data',
    };
    const { hosts, source } = read(state(image, resource(type, 'node', attributes)));
    expect(source).toBe('Terraform state');
    expect(hosts).toHaveLength(1);
    expect(hosts[0]).toMatchObject(expected);
  });

  it('tells what it does not know', () => {
    const { hosts } = read(
      state(resource('aws_instance', 'node', { ami: 'ami-9' }, { ami: 'ami-9', private_ip: '10.0.0.2' })),
    );
    expect(hosts.map(({ name }) => name)).toEqual(['node-0', 'node-1']);
    expect(hosts[0]?.notes).toEqual([
      'the state knows no address of it: is it running?',
      'which user the image lets in is not known',
    ]);
  });

  it('reaches machines without a public address through the bastion', () => {
    const { hosts } = read(
      state(
        resource('hcloud_server', 'b', { name: 'bastion', ipv4_address: '3.3.3.3' }),
        resource('hcloud_server', 'n', { name: 'cp1', network: [{ ip: '10.0.0.1' }] }),
      ),
    );
    expect(hosts[1]).toMatchObject({ address: '10.0.0.1', bastion: { address: '3.3.3.3', user: 'root' } });
    expect(hosts[0]).not.toHaveProperty('bastion');
  });

  it('may be that of terraform show -json, with modules', () => {
    const values = { name: 'cp1', ipv4_address: '3.3.3.3' };
    const server = { mode: 'managed', type: 'hcloud_server', name: 'n', values };
    const { hosts, source } = read({
      terraform_version: '1.9.0',
      values: { root_module: { child_modules: [{ child_modules: [{ resources: [server] }] }] } },
    });
    expect(source).toBe('terraform show -json');
    expect(hosts[0]).toMatchObject({ name: 'cp1', address: '3.3.3.3' });
  });

  it('takes roles from tags that speak of them', () => {
    expect(
      groupsOfTags({ 'node-role': 'worker', 'k8s.io/role/master': '1', controlplane: 'true', Owner: 'me' }),
    ).toEqual(['worker', 'controlplane']);
  });
});

describe('terraform output -json', () => {
  const output = (value: unknown, sensitive = false) => ({ value, type: 'dynamic', sensitive });

  it.each<[string, object, object[]]>([
    [
      'lists of addresses',
      { master_ips: output(['10.0.0.1']), worker_public_ips: output(['10.0.0.2', '10.0.0.3']) },
      [
        { name: 'master-1', groups: ['master'], address: '10.0.0.1' },
        { name: 'worker-1', groups: ['worker'], address: '10.0.0.2' },
        { name: 'worker-2', groups: ['worker'], address: '10.0.0.3' },
      ],
    ],
    ['one address', { control_plane_ip: output('10.0.0.1') }, [{ name: 'control_plane', address: '10.0.0.1' }]],
    ['a map of addresses', { nodes: output({ cp1: '10.0.0.1' }) }, [{ name: 'cp1', address: '10.0.0.1' }]],
    ['a map of lists', { ips: output({ workers: ['10.0.0.1'] }) }, [{ name: 'workers-1', groups: ['workers'] }]],
    [
      'machines',
      {
        nodes: output([{ name: 'cp1', public_ip: '3.3.3.3', private_ip: '10.0.0.1', role: 'master', ssh_user: 'ops' }]),
      },
      [{ name: 'cp1', address: '3.3.3.3', privateAddress: '10.0.0.1', groups: ['master'], user: 'ops' }],
    ],
    [
      'a user for all',
      { cp_ip: output('10.0.0.1'), ssh_user: output('ops') },
      [{ name: 'cp', address: '10.0.0.1', user: 'ops' }],
    ],
  ])('reads %s', (_, document, expected) => {
    const { hosts } = read(document);
    expect(hosts).toHaveLength(expected.length);
    for (const [index, host] of hosts.entries()) expect(host).toMatchObject(expected[index]!);
  });

  it('passes over what is secret', () => {
    const { hosts, notes } = read({ cp_ip: output('10.0.0.1'), other_ip: output('10.0.0.2', true) });
    expect(hosts).toHaveLength(1);
    expect(notes).toEqual(['The output other_ip is sensitive and was passed over.']);
  });
});

describe('what is no Terraform', () => {
  it.each<[string, string, string]>([
    ['no JSON', '{', 'state: is no JSON'],
    ['a list', '[]', 'state: is no JSON object'],
    ['another object', '{"a":1}', 'state: is neither a state nor the output of'],
    ['a state without machines', JSON.stringify(state()), 'state: has none of the resources that are machines'],
    ['outputs without addresses', '{"a":{"value":"x","type":"string"}}', 'state: no output is an address'],
  ])('is refused: %s', (_, text, message) => {
    expect(() => importTerraform([{ name: 'state', text }])).toThrow(message);
  });
});
