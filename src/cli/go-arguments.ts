/** Flags as kubeadm's users write them: `--dry-run=false`, `--upload-certs=true`, `-v=5`. */
import type { Command } from 'commander';

const switchesOf = (command: Command): string[] => [
  ...command.options.filter((option) => option.isBoolean()).flatMap(({ long }) => long ?? []),
  ...command.commands.flatMap(switchesOf),
];

/** `--flag=true` is the flag, `--flag=false` is nothing: Go's programs take both; here a switch has no value. */
export function goArguments(program: Command, words: readonly string[]): string[] {
  const switches = new Set(switchesOf(program));
  const end = words.indexOf('--');
  return words.flatMap((word, index) => {
    if (end !== -1 && index > end) return word;
    const level = /^-v=(.*)$/.exec(word);
    if (level) return `--v=${level[1]}`;
    const [, name, value] = /^(--[a-z-]+)=(true|false)$/.exec(word) ?? [];
    if (name === undefined || !switches.has(name)) return word;
    return value === 'true' ? name : [];
  });
}
