/** Ansible inventories: what their connection variables mean for kinit. */
import { parseYaml } from '../../config/yaml.ts';
import { parseJump } from '../ssh-target.ts';
import { parseAnsibleIni } from './ansible-ini.ts';
import { groupsOfHost, newTree, varsOfHost } from './ansible-tree.ts';
import { parseAnsibleYaml } from './ansible-yaml.ts';
import { asText, type Imported, type ImportedHost, type ImportFile, type Json, unreadable } from './types.ts';

/** YAML and JSON begin with a mapping; an INI file never does. */
export function looksLikeYaml(text: string): boolean {
  const first = text.split(/\r?\n/).find((line) => line.trim() !== '' && !/^\s*[#;]/.test(line)) ?? '';
  return /^(---|\{|[\w.-]+:\s*(#.*)?$)/.test(first.trim());
}

export function importAnsible(files: readonly ImportFile[]): Imported {
  const tree = newTree();
  const kinds = new Set<string>();
  for (const file of files) {
    if (looksLikeYaml(file.text)) {
      kinds.add(file.text.trimStart().startsWith('{') ? 'JSON' : 'YAML');
      for (const { value } of parseYaml(file.text, file.name)) parseAnsibleYaml(file.name, value, tree);
    } else {
      kinds.add('INI');
      parseAnsibleIni(file, tree);
    }
  }
  if (!tree.hosts.size) throw unreadable(files.map(({ name }) => name).join(', '), 'names no host');
  const notes: string[] = [];
  const hosts = [...tree.hosts.keys()].map((name) => {
    const groups = groupsOfHost(tree, name).filter((group) => group !== 'all' && group !== 'ungrouped');
    return hostOf(name, groups, varsOfHost(tree, name));
  });
  if (hosts.some(({ secrets }) => secrets?.length)) {
    notes.push('Passwords of the inventory are not copied: export them in the named environment variables.');
  }
  return { source: `Ansible inventory (${[...kinds].join(', ')})`, hosts, notes };
}

/** `{{ lookup('env', 'X') }}` becomes kinit's `${X}`, `{{ name }}` the variable's value; undefined: nothing kinit could know. */
export function resolveTemplate(text: string, vars: Record<string, Json>, depth = 0): string | undefined {
  let known = true;
  const resolved = text.replace(/\{\{(.*?)\}\}/g, (_, inner: string) => {
    const expression = inner.trim();
    const env = /^(?:lookup|query)\(\s*['"](?:ansible\.builtin\.)?env['"]\s*,\s*['"](\w+)['"]\s*\)$/.exec(expression);
    if (env) return `\${${env[1]}}`;
    const [, name = '', fallback] = /^(\w+)(?:\s*\|\s*default\(\s*['"]?([^'")]*)['"]?\s*\))?$/.exec(expression) ?? [];
    const value = asText(vars[name]) ?? fallback;
    const text = value === undefined || depth > 5 ? undefined : resolveTemplate(value, vars, depth + 1);
    if (text === undefined) known = false;
    return text ?? '';
  });
  return known ? resolved : undefined;
}

function hostOf(name: string, groups: string[], own: Record<string, Json>): ImportedHost {
  const vars: Record<string, Json> = { inventory_hostname: name, ...own };
  const notes: string[] = [];
  /** The first of the names that is set, as text. */
  const read = (...names: string[]): string | undefined => {
    const found = names.find((each) => asText(vars[each]) !== undefined);
    if (!found) return undefined;
    const text = resolveTemplate(asText(vars[found])!, vars);
    if (text === undefined) notes.push(`${found} is ${asText(vars[found])}, which only Ansible can work out`);
    return text;
  };
  const local = read('ansible_connection') === 'local';
  const address = read('ansible_host', 'ansible_ssh_host');
  const port = Number(read('ansible_port', 'ansible_ssh_port') ?? 22);
  const user = read('ansible_user', 'ansible_ssh_user');
  const identityFile = read('ansible_ssh_private_key_file', 'ansible_private_key_file');
  const privateAddress = read('ip', 'private_ip');
  const become = asText(vars['ansible_become']) ?? String(vars['ansible_become'] ?? '');
  const bastion = bastionIn(
    ['ansible_ssh_common_args', 'ansible_ssh_extra_args'].map((each) => read(each) ?? '').join(' '),
  );
  const has = (...names: string[]) => names.some((each) => vars[each] !== undefined);
  const secrets: ImportedHost['secrets'] = [];
  if (has('ansible_password', 'ansible_ssh_pass')) secrets.push('passwordFromEnv');
  if (has('ansible_become_password', 'ansible_become_pass', 'ansible_sudo_pass')) secrets.push('sudo');
  return {
    name,
    groups,
    ...(local ? { connection: 'local' } : {}),
    ...(address && !local ? { address } : {}),
    ...(port !== 22 && Number.isInteger(port) ? { port } : {}),
    ...(user ? { user } : {}),
    ...(identityFile ? { identityFile } : {}),
    ...(privateAddress && privateAddress !== address ? { privateAddress } : {}),
    ...(/^(false|no|off)$/i.test(become) && user && user !== 'root'
      ? { notes: [...notes, 'ansible_become is off, but kinit needs to become root'] }
      : notes.length
        ? { notes }
        : {}),
    ...(bastion ? { bastion } : {}),
    ...(secrets.length ? { secrets } : {}),
  };
}

/** `-J user@host`, `-o ProxyJump=host`, `-o ProxyCommand="ssh -W %h:%p -q user@host"` */
export function bastionIn(args: string): ImportedHost['bastion'] {
  const jump = /(?:^|\s)-J\s*(\S+)|ProxyJump[=\s]+["']?([^\s"']+)/.exec(args);
  const hop = jump?.[1] ?? jump?.[2];
  if (hop) return parseJump(hop.split(',').at(-1)!);
  const [, command] = /ProxyCommand[=\s]+["']?(ssh\s[^"']*)/.exec(args) ?? [];
  if (!command?.includes('-W')) return undefined;
  const words = command.trim().split(/\s+/).slice(1);
  const found: { address?: string; user?: string; port?: number; identityFile?: string } = {};
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (word === '-p') found.port = Number(words[++index]);
    else if (word === '-i') found.identityFile = words[++index] ?? '';
    else if (word === '-l') found.user = words[++index] ?? '';
    else if (/^-[oWFLRDceEmbBIQSw]$/.test(word)) index++;
    else if (!word.startsWith('-')) Object.assign(found, parseJump(word));
  }
  const { address, ...login } = found;
  return address ? { address, ...login } : undefined;
}
