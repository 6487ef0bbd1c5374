import { describe, expect, it } from 'vitest';
import {
  bastionIn,
  importAnsible,
  looksLikeYaml,
  resolveTemplate,
} from '../../../src/installer/inventory/import/ansible.ts';
import { shellWords } from '../../../src/installer/inventory/import/ansible-ini.ts';
import { expandRange, splitPort } from '../../../src/installer/inventory/import/ansible-range.ts';
import type { ImportedHost } from '../../../src/installer/inventory/import/types.ts';

const read = (...texts: string[]) => importAnsible(texts.map((text, index) => ({ name: `file${index}`, text })));
const hostsOf = (...texts: string[]): Record<string, ImportedHost> =>
  Object.fromEntries(read(...texts).hosts.map((host) => [host.name, host]));

describe('host ranges', () => {
  it.each<[string, string[]]>([
    ['w[1:3]', ['w1', 'w2', 'w3']],
    ['w[08:10].x', ['w08.x', 'w09.x', 'w10.x']],
    ['w[0:10:5]', ['w0', 'w5', 'w10']],
    ['db-[a:c]', ['db-a', 'db-b', 'db-c']],
    ['r[1:2]n[1:2]', ['r1n1', 'r1n2', 'r2n1', 'r2n2']],
    ['w[:2]', ['w0', 'w1', 'w2']],
    ['plain', ['plain']],
  ])('%s', (pattern, names) => expect(expandRange(pattern)).toEqual(names));

  it('ends after it begins', () => {
    expect(() => expandRange('w[3:1]')).toThrow('the range in w[3:1] ends before it begins');
  });

  it('may be followed by a port', () => {
    expect(splitPort('w1:2222')).toEqual({ name: 'w1', port: 2222 });
    expect(splitPort('[fd00::1]:2222')).toEqual({ name: 'fd00::1', port: 2222 });
    expect(splitPort('fd00::1')).toEqual({ name: 'fd00::1' });
  });
});

const ini = `
; a comment
loner ansible_host=10.0.0.9   # and another
[masters]
cp1:2222 ansible_host=10.0.0.1
[workers]
w[1:2] ansible_user=deploy
[workers:vars]
ansible_user=wuser
zone = "b"
[ssd]
w1
[cluster:children]
masters
workers
[cluster:vars]
ansible_user='ubuntu'
ansible_ssh_private_key_file=~/.ssh/id_cluster
[all:vars]
ansible_user=nobody
`;

const yaml = `
all:
  vars: { ansible_user: nobody }
  hosts:
    loner: { ansible_host: 10.0.0.9 }
  children:
    cluster:
      vars: { ansible_user: ubuntu, ansible_ssh_private_key_file: ~/.ssh/id_cluster }
      children:
        masters:
          hosts:
            cp1: { ansible_host: 10.0.0.1, ansible_port: 2222 }
        workers:
          vars: { ansible_user: wuser }
          hosts:
            w[1:2]: { ansible_user: deploy }
    ssd:
      hosts:
        w1:
`;

const list = JSON.stringify({
  _meta: {
    hostvars: {
      loner: { ansible_host: '10.0.0.9', ansible_user: 'nobody' },
      cp1: { ansible_host: '10.0.0.1', ansible_port: 2222, ansible_user: 'ubuntu' },
      w1: { ansible_user: 'deploy' },
      w2: { ansible_user: 'deploy' },
    },
  },
  all: { children: ['ungrouped', 'cluster', 'ssd'] },
  ungrouped: { hosts: ['loner'] },
  cluster: { children: ['masters', 'workers'], vars: { ansible_ssh_private_key_file: '~/.ssh/id_cluster' } },
  masters: { hosts: ['cp1'] },
  workers: { hosts: ['w1', 'w2'] },
  ssd: { hosts: ['w1'] },
});

describe('an Ansible inventory', () => {
  it.each([
    ['INI', ini],
    ['YAML', yaml],
    ['JSON', list],
  ])('in %s has hosts with the variables of their groups, the nearest first', (kind, text) => {
    const hosts = hostsOf(text);
    const identityFile = '~/.ssh/id_cluster';
    expect(Object.keys(hosts).sort()).toEqual(['cp1', 'loner', 'w1', 'w2']);
    expect(hosts['loner']).toEqual({ name: 'loner', groups: [], address: '10.0.0.9', user: 'nobody' });
    expect(hosts['cp1']).toMatchObject({ address: '10.0.0.1', port: 2222, user: 'ubuntu', identityFile });
    expect(hosts['w1']).toMatchObject({ user: 'deploy', identityFile });
    expect([...hosts['w1']!.groups].sort()).toEqual(['cluster', 'ssd', 'workers']);
    expect(read(text).source).toBe(`Ansible inventory (${kind})`);
  });

  it('takes templates as far as they can be known without Ansible', () => {
    const vars = { base: 'k8s', inventory_hostname: 'w1', loop: '{{ loop }}' };
    expect(resolveTemplate("{{ lookup('env', 'SSH_LOGIN') }}", vars)).toBe(`\${SSH_LOGIN}`);
    expect(resolveTemplate('{{ inventory_hostname }}.{{ base }}.example', vars)).toBe('w1.k8s.example');
    expect(resolveTemplate("{{ other | default('x') }}", vars)).toBe('x');
    expect(resolveTemplate('{{ hostvars[x].y }}', vars)).toBeUndefined();
    expect(resolveTemplate('{{ loop }}', vars)).toBeUndefined();
  });

  it('says what only Ansible can work out, and copies no password', () => {
    const { hosts, notes } = read(
      'w1 ansible_host="{{ groups[x][0] }}" ansible_password=p ansible_become_pass=q\nw2 ansible_connection=local',
    );
    expect(hosts[0]).toEqual({
      name: 'w1',
      groups: [],
      notes: ['ansible_host is {{ groups[x][0] }}, which only Ansible can work out'],
      secrets: ['passwordFromEnv', 'sudo'],
    });
    expect(hosts[1]).toEqual({ name: 'w2', groups: [], connection: 'local' });
    expect(JSON.stringify(hosts)).not.toContain('"p"');
    expect(notes).toHaveLength(1);
  });

  it.each<[string, object | undefined]>([
    ['-o ProxyCommand="ssh -p 2200 -W %h:%p -q me@gate"', { address: 'gate', user: 'me', port: 2200 }],
    ["-o ProxyCommand='ssh -i ~/k -o X=y gate -W %h:%p'", { address: 'gate', identityFile: '~/k' }],
    ['-J me@gate:2200', { address: 'gate', user: 'me', port: 2200 }],
    ['-o ProxyJump=one,two', { address: 'two' }],
    ['-o StrictHostKeyChecking=no', undefined],
  ])('finds the bastion in %s', (args, expected) => expect(bastionIn(args)).toEqual(expected));

  it('is told from YAML by its first line', () => {
    expect(looksLikeYaml('# x\n---\nall:\n')).toBe(true);
    expect(looksLikeYaml('all:\n  hosts:\n')).toBe(true);
    expect(looksLikeYaml('[all]\nw1\n')).toBe(false);
    expect(looksLikeYaml('w1:22 a=b\n')).toBe(false);
  });

  it('reads words as a shell does', () => {
    expect(shellWords(`w1 a="x y" b='#z' c=d\\ e # f`)).toEqual(['w1', 'a=x y', 'b=#z', 'c=d e']);
  });

  it.each([
    ['[x:hosts:y]\n[a:wrong]', 'file0:2: [a:wrong] is neither vars nor children'],
    ['[a:vars]\nx', 'file0:2: "x" is no variable (name=value)'],
    ['w1 x', 'file0:1: "x" is no variable (name=value)'],
    ['w[2:1]', 'file0:1: the range in w[2:1] ends before it begins'],
    ['# nothing', 'file0: names no host'],
    ['all: { hosts: [w1] }\n', 'file0'],
    ['all:\n  hosts: [w1]\n', 'file0: hosts of the group all is no mapping'],
  ])('refuses %j', (text, message) => expect(() => read(text)).toThrow(message));

  it('survives groups that contain each other', () => {
    expect(hostsOf('[a]\nw1\n[a:children]\nb\n[b:children]\na\n')['w1']?.groups.sort()).toEqual(['a', 'b']);
  });
});
