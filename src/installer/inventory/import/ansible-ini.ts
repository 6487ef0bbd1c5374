/** Ansible's INI inventories: `[group]`, `[group:vars]`, `[group:children]`, hosts with variables, host ranges. */
import { expandRange, splitPort } from './ansible-range.ts';
import { type AnsibleTree, addHost, groupOf, newTree } from './ansible-tree.ts';
import { type ImportFile, unreadable } from './types.ts';

/** Words as a shell would see them: quotes group, backslashes escape, `#` begins a comment. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let index = 0; index < line.length; index++) {
    const letter = line[index]!;
    if (quote) {
      if (letter === quote) quote = '';
      else if (letter === '\\' && quote === '"') word += line[++index] ?? '';
      else word += letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      word ??= '';
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (letter === '#' && word === undefined) break;
    else word = (word ?? '') + (letter === '\\' ? (line[++index] ?? '') : letter);
  }
  return word === undefined ? words : [...words, word];
}

function unquote(text: string): string {
  const trimmed = text.trim();
  return /^(["']).*\1$/.test(trimmed) ? trimmed.slice(1, -1) : trimmed.replace(/\s+#.*$/, '');
}

export function parseAnsibleIni({ name: file, text }: ImportFile, tree: AnsibleTree = newTree()): AnsibleTree {
  let group = 'ungrouped';
  let kind = 'hosts';
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const content = line.trim();
    if (content === '' || /^[#;]/.test(content)) continue;
    const wrong = (why: string) => unreadable(`${file}:${index + 1}`, why);
    const section = /^\[([^\]:]+)(?::(\w+))?\]\s*(?:[#;].*)?$/.exec(content);
    if (section) {
      group = section[1]!.trim();
      kind = section[2] ?? 'hosts';
      if (!['hosts', 'vars', 'children'].includes(kind)) throw wrong(`[${group}:${kind}] is neither vars nor children`);
      groupOf(tree, group);
    } else if (kind === 'vars') {
      const equals = content.indexOf('=');
      if (equals < 1) throw wrong(`"${content}" is no variable (name=value)`);
      groupOf(tree, group).vars[content.slice(0, equals).trim()] = unquote(content.slice(equals + 1));
    } else if (kind === 'children') {
      const child = shellWords(content)[0]!;
      groupOf(tree, child);
      groupOf(tree, group).children.add(child);
    } else addHostLine(tree, group, content, wrong);
  }
  return tree;
}

function addHostLine(tree: AnsibleTree, group: string, content: string, wrong: (why: string) => Error): void {
  const [pattern = '', ...rest] = shellWords(content);
  const vars: Record<string, string> = {};
  for (const word of rest) {
    const equals = word.indexOf('=');
    if (equals < 1) throw wrong(`"${word}" is no variable (name=value)`);
    vars[word.slice(0, equals)] = word.slice(equals + 1);
  }
  let names: string[];
  try {
    names = expandRange(pattern);
  } catch (error) {
    throw wrong((error as Error).message);
  }
  for (const each of names) {
    const { name, port } = splitPort(each);
    addHost(tree, group, name, { ...(port ? { ansible_port: String(port) } : {}), ...vars });
  }
}
