/** kinit completion: the scripts are made from the commands; bash is asked what it offers. */
import { execFileSync } from 'node:child_process';
import { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { addCertsCommand } from '../../../src/cli/certs.ts';
import {
  addCompletionCommand,
  bashCompletion,
  type CompletionEntry,
  completionEntries,
  fishCompletion,
  zshCompletion,
} from '../../../src/cli/completion.ts';
import { addInitCommand } from '../../../src/cli/init.ts';
import { addJoinCommand } from '../../../src/cli/join.ts';
import { addPhases } from '../../../src/cli/phase.ts';
import { addResetCommand } from '../../../src/cli/reset.ts';

let entries: CompletionEntry[];

beforeAll(async () => {
  const program = new Command('kinit');
  for (const add of [addInitCommand, addJoinCommand, addResetCommand, addCertsCommand, addCompletionCommand])
    add(program);
  await addPhases(program);
  entries = completionEntries(program);
});

/** What bash offers for a line whose last word is not finished. */
function offered(line: string): string[] {
  const words = line.split(' ');
  const script = `${bashCompletion(entries)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length - 1}
_kinit
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }).split('\n').filter(Boolean);
}

describe('the completion of bash', () => {
  it.each([
    ['kinit ini', ['init']],
    ['kinit certs re', ['renew']],
    ['kinit certs renew apiserver-k', ['apiserver-kubelet-client']],
    ['kinit init phase certs etcd-', ['etcd-ca', 'etcd-server', 'etcd-peer', 'etcd-healthcheck-client']],
    ['kinit init --pod', ['--pod-network-cidr']],
    ['kinit init phase certs all --cert-d', ['--cert-dir']],
    ['kinit init --config a.yaml pha', ['phase']],
    ['kinit reset phase cleanup-node kub', ['kubelet']],
    ['kinit completion z', ['zsh']],
    ['kinit nothing-like-it', []],
  ])('offers for "%s": %j', (line, words) => expect(offered(line)).toEqual(words));
});

describe('the other shells', () => {
  it('know every command and flag', () => {
    const [zsh, fish] = [zshCompletion(entries), fishCompletion(entries)];
    expect(zsh.startsWith('#compdef kinit\n')).toBe(true);
    for (const { path, commands, flags } of entries) {
      expect(zsh).toContain(`'${path}') kinit_commands=(`);
      for (const { text } of commands) {
        expect(zsh).toContain(`'${text}:`);
        expect(fish).toContain(`complete -c kinit -n '__kinit_at ${path}' -f -a '${text}'`);
      }
      for (const { text } of flags.filter((flag) => flag.text.startsWith('--'))) {
        expect(fish).toContain(`complete -c kinit -n '__kinit_below ${path}' -l ${text.slice(2)}`);
      }
    }
  });
});
