import { describe, expect, it } from 'vitest';
import { importCloudInit } from '../../../src/installer/inventory/import/cloud-init.ts';
import { detectFormat } from '../../../src/installer/inventory/import/detect.ts';
import { importHosts } from '../../../src/installer/inventory/import/hosts-list.ts';
import { loginOfImage } from '../../../src/installer/inventory/import/login-names.ts';
import { importVagrant } from '../../../src/installer/inventory/import/vagrant.ts';

const vagrant = `Host cp1
  HostName 127.0.0.1
  User vagrant
  Port 2222
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile "/home/me/my boxes/.vagrant/machines/cp1/virtualbox/private_key"
  IdentitiesOnly yes
  LogLevel FATAL

Host w1
  HostName 192.168.121.7
  User vagrant
  Port 22
`;

describe('vagrant ssh-config', () => {
  it('has one block per box', () => {
    const { hosts } = importVagrant([{ name: '-', text: vagrant }]);
    expect(hosts[0]).toEqual({
      name: 'cp1',
      groups: [],
      address: '127.0.0.1',
      port: 2222,
      user: 'vagrant',
      identityFile: '/home/me/my boxes/.vagrant/machines/cp1/virtualbox/private_key',
      knownHosts: '.vagrant/known_hosts',
      acceptHostKeys: true,
      notes: ['reached through a forwarded port; the boxes need a network of their own for the cluster'],
    });
    expect(hosts[1]).toEqual({ name: 'w1', groups: [], address: '192.168.121.7', user: 'vagrant' });
  });

  it('may be any ssh_config whose hosts are named in full', () => {
    const { hosts } = importVagrant([
      { name: 'config', text: 'Host cp1 w*\n ProxyJump me@gate:23\n UserKnownHostsFile known\nHost *\n User ops' },
    ]);
    expect(hosts).toEqual([
      { name: 'cp1', groups: [], user: 'ops', bastion: { address: 'gate', user: 'me', port: 23 }, knownHosts: 'known' },
    ]);
    expect(() => importVagrant([{ name: 'config', text: 'Host *\n User ops' }])).toThrow('config: names no host');
  });
});

const userData = `#cloud-config
hostname: cp1
users:
  - default
  - { name: guest }
  - { name: ops, sudo: "ALL=(ALL) NOPASSWD:ALL" }
`;

describe('cloud-init', () => {
  it('speaks of one machine in the files of one folder', () => {
    const { hosts } = importCloudInit([
      { name: 'seeds/one/user-data', text: userData },
      { name: 'seeds/one/meta-data', text: 'instance-id: i-1\nlocal-hostname: cp1\n' },
      {
        name: 'seeds/one/network-config',
        text: 'network: { version: 2, ethernets: { eth0: { addresses: [10.0.0.1/24] } } }',
      },
      { name: 'seeds/w1/user-data', text: '#cloud-config\nusers: [{ name: ops, sudo: true }]\n' },
    ]);
    expect(hosts).toEqual([
      { name: 'cp1', groups: [], address: '10.0.0.1', user: 'ops' },
      { name: 'w1', groups: [], user: 'ops' },
    ]);
  });

  it.each<[string, string]>([
    ['documents', 'hostname: cp1\nip: 10.0.0.1\n---\nhostname: w1\nip: 10.0.0.2/24\n'],
    ['a list', '- { hostname: cp1, ip: 10.0.0.1 }\n- { local-hostname: w1, address: 10.0.0.2 }\n'],
    ['a mapping', 'cp1: { ip: 10.0.0.1 }\nw1: { ip: 10.0.0.2 }\n'],
    ['a mapping below hosts', 'hosts:\n  cp1: { ip: 10.0.0.1 }\n  w1: { ip: 10.0.0.2 }\n'],
    [
      'user-data within',
      'nodes:\n- user-data: "hostname: cp1"\n  ip: 10.0.0.1\n- name: w1\n  network-config: { config: [{ subnets: [{ address: 10.0.0.2/24 }] }] }\n',
    ],
  ])('speaks of several in %s', (_, text) => {
    const { hosts } = importCloudInit([{ name: 'machines.yaml', text }]);
    expect(hosts.map(({ name, address }) => [name, address])).toEqual([
      ['cp1', '10.0.0.1'],
      ['w1', '10.0.0.2'],
    ]);
  });

  it('must name a host', () => {
    expect(() => importCloudInit([{ name: 'u.yaml', text: 'packages: [curl]' }])).toThrow('u.yaml: names no host');
  });
});

describe('a list of hosts', () => {
  it('is like /etc/hosts, or has one login per line', () => {
    const text =
      '127.0.0.1 localhost\nff02::1 ip6-allnodes\n10.0.0.1 cp1 cp1.example # first\n\nops@w1:2222\n10.0.0.9\n';
    expect(importHosts([{ name: 'hosts', text }]).hosts).toEqual([
      { name: 'cp1', groups: [], address: '10.0.0.1' },
      { name: 'w1', groups: [], user: 'ops', port: 2222 },
      { name: '10.0.0.9', groups: [], address: '10.0.0.9' },
    ]);
    expect(() => importHosts([{ name: 'hosts', text: 'cp1 10.0.0.1' }])).toThrow('hosts:1: "cp1 10.0.0.1"');
  });
});

describe('the tool that wrote a file', () => {
  it.each<[string, string, string | undefined]>([
    ['x', vagrant, 'vagrant'],
    ['x', '[all]\nw1\n', 'ansible'],
    ['x', 'w1 ansible_host=a\n', 'ansible'],
    ['x', 'all:\n  hosts:\n    w1:\n', 'ansible'],
    ['x', '{"_meta":{}}', 'ansible'],
    ['x', '{"all":{"hosts":{}}}', 'ansible'],
    ['x', '{"terraform_version":"1","resources":[]}', 'terraform'],
    ['x', '{"ip":{"value":"a","type":"string"}}', 'terraform'],
    ['x', '#cloud-config\na: b\n', 'cloud-init'],
    ['seed/meta-data', 'a: b', 'cloud-init'],
    ['x', '- hostname: a\n', 'cloud-init'],
    ['x', '10.0.0.1 cp1\nops@w1:22\n', 'hosts'],
    ['x', 'a = b ; c', undefined],
    ['x', '{', undefined],
  ])('of %s %j is %s', (name, text, format) => expect(detectFormat({ name, text })).toBe(format));
});

describe('the user of an image', () => {
  it.each([
    ['debian-12', 'gcp', 'debian'],
    ['debian-12', 'aws', 'admin'],
    ['CentOS Stream 9', 'aws', 'ec2-user'],
    ['al2023-ami-2023', 'aws', 'ec2-user'],
    ['anything', 'hetzner', 'root'],
    ['anything', 'aws', undefined],
  ] as const)('%s at %s is %s', (image, cloud, user) => expect(loginOfImage(image, cloud)).toBe(user));
});
