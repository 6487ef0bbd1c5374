/** Which tool wrote a file, judged by its name and its text. */
import { looksLikeYaml } from './ansible.ts';
import { isSeedFile } from './cloud-init.ts';
import { type ImportFile, type ImportFormat, isObject } from './types.ts';

export function detectFormat({ name, text }: ImportFile): ImportFormat | undefined {
  if (isSeedFile(name) || /^#cloud-config\b/m.test(text)) return 'cloud-init';
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) return formatOfJson(trimmed);
  if (/^\s*Host\s+\S/im.test(text) && /^\s*HostName[\s=]/im.test(text)) return 'vagrant';
  if (looksLikeYaml(text) || /^-\s/.test(trimmed)) {
    if (
      /^\s*(-\s+)?["']?(local-hostname|instance-id|hostname|fqdn|user[-_]data|meta[-_]data|ethernets)["']?:/m.test(text)
    )
      return 'cloud-init';
    if (/^\s*(hosts|children):/m.test(text)) return 'ansible';
    return undefined;
  }
  if (/^\s*\[[^\]]+\]\s*([#;].*)?$/m.test(text) || /\bansible_\w+\s*=/.test(text)) return 'ansible';
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !/^\s*#/.test(line));
  if (lines.length && lines.every((line) => /^\s*[\w.:[\]@-]+(\s+[\w.-]+)*\s*(#.*)?$/.test(line))) return 'hosts';
  return undefined;
}

function formatOfJson(text: string): ImportFormat | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  if ('_meta' in value) return 'ansible';
  if ('terraform_version' in value || 'resources' in value || 'values' in value) return 'terraform';
  if (Object.values(value).some((item) => isObject(item) && 'value' in item && ('type' in item || 'sensitive' in item)))
    return 'terraform';
  return Object.values(value).some((item) => isObject(item) && ('hosts' in item || 'children' in item))
    ? 'ansible'
    : undefined;
}
