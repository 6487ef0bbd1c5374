/** `kinit completion bash | zsh | fish`: scripts made from the tree of commands and flags. */
import type { Command, Option } from 'commander';
import { KinitError } from '../installer/errors.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;

interface Word {
  text: string;
  description: string;
  /** A flag that takes a value: the next word is free. */
  takesValue?: boolean;
}

/** What can follow a command: its path, such as `kinit init phase`, its subcommands and its own flags. */
export interface CompletionEntry {
  path: string;
  commands: Word[];
  flags: Word[];
}

const firstLine = (text: string) => text.split('\n')[0]!;

function flagWords(option: Option): Word[] {
  return [option.long, option.short]
    .filter((text) => text !== undefined && text !== null)
    .map((text) => ({ text, description: firstLine(option.description), takesValue: !option.isBoolean() }));
}

/** One entry per command of the tree, parents first. Flags of a parent work behind its subcommands, too. */
export function completionEntries(command: Command, parents: readonly string[] = []): CompletionEntry[] {
  const path = [...parents, command.name()];
  const flags = command.options.filter((option) => !option.hidden).flatMap(flagWords);
  const help: Word[] = parents.length ? [] : [{ text: '--help', description: 'display help for command' }];
  const subcommands = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help');
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
  const commands = [
    ...subcommands.map((one) => ({ text: one.name(), description: firstLine(one.description()) })),
    ...choices.map((text) => ({ text, description: '' })),
  ];
  return [
    { path: path.join(' '), commands, flags: [...flags, ...help] },
    ...subcommands.flatMap((one) => completionEntries(one, path)),
  ];
}

const bashQuote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** Finds the command in the words before the cursor; both shells' scripts work on the same table. */
function posixTable(entries: readonly CompletionEntry[], words: (entry: CompletionEntry) => string): string {
  const cases = entries.map((entry) => `    ${bashQuote(entry.path)}) ${words(entry)} ;;`);
  return cases.join('\n');
}

const valueFlags = (entries: readonly CompletionEntry[]) =>
  [
    ...new Set(entries.flatMap(({ flags }) => flags.filter(({ takesValue }) => takesValue).map(({ text }) => text))),
  ].sort();

export function bashCompletion(entries: readonly CompletionEntry[]): string {
  const texts = (words: readonly Word[], before = '') =>
    words.length ? bashQuote(before + words.map(({ text }) => text).join(' ')) : "''";
  return `# bash completion for kinit

__kinit_words() {
  case "$1" in
${posixTable(entries, ({ commands, flags }) => `commands=${texts(commands)} flags+=${texts(flags, ' ')}`)}
  *) return 1 ;;
  esac
}

__kinit_takes_value() {
  case "$1" in
    ${valueFlags(entries).join(' | ')}) return 0 ;;
  esac
  return 1
}

_kinit() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local path=kinit word i commands flags
  __kinit_words kinit
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if __kinit_takes_value "$word"; then ((i++)); continue; fi
    if [[ "$word" != -* ]] && __kinit_words "$path $word"; then path="$path $word"; fi
  done
  COMPREPLY=()
  if __kinit_takes_value "$previous"; then
    COMPREPLY=($(compgen -f -- "$current"))
    return
  fi
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$current"))
  else COMPREPLY=($(compgen -W "$commands" -- "$current")); fi
}

complete -o default -F _kinit kinit
`;
}

export function zshCompletion(entries: readonly CompletionEntry[]): string {
  const described = (words: readonly Word[]) =>
    words.map(({ text, description }) => bashQuote(`${text.replaceAll(':', '\\:')}:${description}`)).join(' ');
  return `#compdef kinit
# zsh completion for kinit

__kinit_words() {
  case "$1" in
${posixTable(entries, ({ commands, flags }) => `kinit_commands=(${described(commands)}) kinit_flags+=(${described(flags)})`)}
  *) return 1 ;;
  esac
}

__kinit_takes_value() {
  case "$1" in
    ${valueFlags(entries).join(' | ')}) return 0 ;;
  esac
  return 1
}

_kinit() {
  local current="\${words[CURRENT]}" previous="\${words[CURRENT-1]}" chain=kinit word
  local -a kinit_commands kinit_flags
  local -i i
  __kinit_words kinit
  for ((i = 2; i < CURRENT; i++)); do
    word="\${words[i]}"
    if __kinit_takes_value "$word"; then ((i++)); continue; fi
    if [[ "$word" != -* ]] && __kinit_words "$chain $word"; then chain="$chain $word"; fi
  done
  if __kinit_takes_value "$previous"; then _files; return; fi
  if [[ "$current" == -* ]]; then _describe -o flag kinit_flags
  elif (( \${#kinit_commands} )); then _describe command kinit_commands
  else _files; fi
}

if [ "$funcstack[1]" = "_kinit" ]; then _kinit "$@"; else compdef _kinit kinit; fi
`;
}

const fishQuote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

export function fishCompletion(entries: readonly CompletionEntry[]): string {
  const lines = entries.flatMap(({ path, commands, flags }) => {
    const at = `-n ${fishQuote(`__kinit_at ${path}`)}`;
    const below = `-n ${fishQuote(`__kinit_below ${path}`)}`;
    return [
      ...commands.map((word) => `complete -c kinit ${at} -f -a ${fishQuote(word.text)}${descriptionOf(word)}`),
      ...flags.map((word) => `complete -c kinit ${below} ${fishFlag(word)}${descriptionOf(word)}`),
    ];
  });
  return `# fish completion for kinit

# The command that the words before the cursor name.
function __kinit_path
    set -l path kinit
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case ${valueFlags(entries).join(' ')}
                set skip 1
            case '-*'
            case '*'
                if contains -- "$path $word" ${entries.map(({ path }) => fishQuote(path)).join(' ')}
                    set path "$path $word"
                end
        end
    end
    echo $path
end

function __kinit_at
    test (__kinit_path) = "$argv"
end

function __kinit_below
    string match -q -- "$argv *" (__kinit_path)" "
end

${lines.join('\n')}
`;
}

const descriptionOf = ({ description }: Word) => (description ? ` -d ${fishQuote(description)}` : '');
const fishFlag = ({ text, takesValue }: Word) =>
  `${text.startsWith('--') ? `-l ${text.slice(2)}` : `-s ${text.slice(1)}`}${takesValue ? ' -r' : ''}`;

const scripts: Record<(typeof shells)[number], (entries: readonly CompletionEntry[]) => string> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

export function addCompletionCommand(program: Command): void {
  const completion = program
    .command('completion')
    .description('print the completion script of a shell: source <(kinit completion bash)')
    .action((shell: string) => {
      const script = scripts[shell as (typeof shells)[number]];
      if (!script)
        throw new KinitError('Usage', `there is no completion for "${shell}"; it takes ${shells.join(', ')}`);
      process.stdout.write(script(completionEntries(program)));
    });
  completion.argument('<shell>', shells.join(', '));
  completion.registeredArguments[0]!.argChoices = [...shells];
}
