import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { localMistake, wantsWizard } from '../../../src/cli/wizard.ts';
import { parseConfig } from '../../../src/installer/config/read-config.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import {
  fileOf,
  nextQuestion,
  parseHosts,
  type WizardAnswers,
  wizardQuestions,
} from '../../../src/installer/inventory/wizard.ts';

/** Answers every question that comes: with what is given, or as somebody who only presses Enter. */
function answer(given: Partial<WizardAnswers>): { asked: string[]; answers: Partial<WizardAnswers> } {
  const answers: Partial<WizardAnswers> = {};
  const asked: string[] = [];
  for (let question = nextQuestion(answers); question; question = nextQuestion(answers)) {
    const { name, choices, otherwise, mistake } = question;
    const value = given[name] ?? choices?.[0]?.value ?? otherwise?.(answers) ?? '';
    expect(mistake?.(value, answers)).toBeUndefined();
    asked.push(name);
    Object.assign(answers, { [name]: value });
  }
  return { asked, answers };
}
const mistakeOf = (name: keyof WizardAnswers, text: string, answers: Partial<WizardAnswers> = {}) =>
  wizardQuestions.find((question) => question.name === name)?.mistake?.(text, answers);

describe('the wizard', () => {
  it('makes a configuration for this machine', () => {
    const { asked, answers } = answer({ target: 'here' });
    expect(asked).toEqual(['target', 'pods', 'clusterName', 'podSubnet', 'serviceSubnet', 'file']);
    const { documents } = parseConfig(fileOf(answers), 'kinit.yaml');
    expect(documents.ClusterConfiguration).toMatchObject({
      clusterName: 'kubernetes',
      networking: { podSubnet: '10.244.0.0/16', serviceSubnet: '10.96.0.0/12' },
    });
    expect(documents.InitConfiguration?.nodeRegistration?.taints).toEqual([]);
    expect(fileOf(answer({ target: 'here', pods: 'no' }).answers)).not.toContain('InitConfiguration');
  });

  it('makes an inventory of several machines', () => {
    const { asked, answers } = answer({
      target: 'fleet',
      controlPlanes: 'cp1=10.0.1.10',
      workers: 'ops@10.0.1.21:2222, db.example.com',
      user: 'ubuntu',
      sudo: 'password',
      key: '~/.ssh/id',
      bastion: 'jump@gate.example.com:2200',
      clusterName: 'lab',
    });
    expect(asked).not.toContain('endpoint');
    const { hosts, cluster } = parseInventory(fileOf(answers), '/w/inventory.yaml');
    expect(cluster).toMatchObject({ clusterName: 'lab', networking: { podSubnet: '10.244.0.0/16' } });
    expect(hosts.map(({ name, address, user, port, roles }) => [name, address, user, port, roles.join()])).toEqual([
      ['cp1', '10.0.1.10', 'ubuntu', 22, 'control-plane'],
      ['w1', '10.0.1.21', 'ops', 2222, 'worker'],
      ['db', 'db.example.com', 'ubuntu', 22, 'worker'],
    ]);
    expect(hosts[0]).toMatchObject({
      sudo: { passwordFromEnv: 'SUDO_PASSWORD' },
      bastion: { address: 'gate.example.com', user: 'jump', port: 2200 },
    });
  });

  it('asks for a stable address when there are several control planes, and not for sudo when root logs in', () => {
    const { asked, answers } = answer({
      target: 'fleet',
      controlPlanes: '10.0.1.1 10.0.1.2 10.0.1.3',
      endpoint: 'api.example.com:6443',
    });
    expect(asked).toContain('endpoint');
    expect(asked).not.toContain('sudo');
    const { hosts, cluster } = parseInventory(fileOf(answers), '/w/inventory.yaml');
    expect(cluster.controlPlaneEndpoint).toBe('api.example.com:6443');
    expect(hosts.map(({ roles }) => roles)).toEqual(Array(3).fill(['control-plane', 'worker']));
  });

  it('explains every question', () => {
    for (const { explanation, message } of wizardQuestions) {
      expect(explanation.length).toBeGreaterThan(40);
      expect(message).not.toBe('');
    }
  });

  it.each<[keyof WizardAnswers, string, Partial<WizardAnswers>, string]>([
    ['controlPlanes', '', {}, 'at least one control plane'],
    ['controlPlanes', '10.0.0.1,10.0.0.2', {}, 'give one or three'],
    ['controlPlanes', 'CP=10.0.0.1', {}, '"CP" is not a host name'],
    ['controlPlanes', '10.0.0.256', {}, '"10.0.0.256" is not an IP address'],
    ['controlPlanes', 'a_b', {}, '"a_b" is neither an IP address nor a name'],
    ['workers', 'x=10.0.0.1', { controlPlanes: '10.0.0.1' }, 'the address "10.0.0.1" is there twice'],
    ['workers', 'cp1=10.0.0.2', { controlPlanes: '10.0.0.1' }, 'the name "cp1" is there twice'],
    ['endpoint', 'api.example.com', {}, 'is not host:port'],
    ['user', 'a b', {}, 'is not the name of a user'],
    ['bastion', 'a b', {}, 'is not a machine'],
    ['clusterName', 'My Cluster', {}, 'is not a name'],
    ['podSubnet', '10.244.0.0', {}, 'is not a CIDR block like 10.244.0.0/16'],
    ['podSubnet', '10.0.0.0/8', { controlPlanes: '10.0.0.1' }, "contains the control plane's address 10.0.0.1"],
    ['serviceSubnet', '10.244.0.0/20', { podSubnet: '10.244.0.0/16' }, 'overlap'],
    ['serviceSubnet', 'x', {}, 'is not a CIDR block like 10.96.0.0/12'],
    ['file', ' ', {}, 'give a name'],
  ])('does not take for %s: "%s"', (name, text, answers, message) => {
    expect(mistakeOf(name, text, answers)).toContain(message);
  });

  it('makes names where none are given', () => {
    expect(parseHosts('10.0.0.1, fd00::1 Web.example', 'w')).toEqual([
      { name: 'w1', address: '10.0.0.1' },
      { name: 'w2', address: 'fd00::1' },
      { name: 'web', address: 'Web.example' },
    ]);
  });
});

describe('who is asked', () => {
  const terminal = { isTTY: true };
  const command = (...words: string[]) =>
    new Command('init')
      .option('--config <file>')
      .option('-y, --yes')
      .option('-o, --output <x>', 'x', 'text')
      .parse(words, { from: 'user' });

  it.each<[string, boolean, Command, object]>([
    ['somebody at a terminal who gives nothing', true, command(), {}],
    ['nobody who gives a flag', false, command('--config', 'x'), {}],
    ['nobody who says --yes', false, command('--yes'), {}],
    ['nobody in CI', false, command(), { env: { CI: 'true' } }],
    ['nobody without input', false, command(), { stdin: {} }],
    ['nobody without output', false, command(), { stdout: {} }],
  ])('%s', (_, expected, given, place) => {
    expect(wantsWizard(given, { stdin: terminal, stdout: terminal, env: {}, ...place })).toBe(expected);
  });
});

describe('what only this machine knows', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kinit-wizard-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is told at once', () => {
    const path = join(folder, 'there');
    expect(localMistake('key', path)).toBe(`there is no file ${path}`);
    expect(localMistake('file', path)).toBeUndefined();
    writeFileSync(path, '');
    expect(localMistake('key', path)).toBeUndefined();
    expect(localMistake('file', path)).toBe(`${path} is there already; give another name`);
    expect(localMistake('key', '')).toBeUndefined();
  });
});
