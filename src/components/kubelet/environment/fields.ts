/** Values of fieldRef and resourceFieldRef: the same for variables and for downwardAPI volumes. */
import { parseQuantity, quantityMilliValue, quantityValue } from '../../../machinery/api/quantity.ts';
import type { Container, Pod } from '../../../machinery/api/types.ts';

export interface FieldContext {
  podIps: string[];
  hostIps: string[];
  nodeName: string;
}

/** @throws with upstream's text for a path that does not exist */
export function podField(pod: Pod, fieldPath: string, context: FieldContext): string {
  const { metadata, spec, status } = pod;
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (subscript)
    return (subscript[1] === 'labels' ? metadata?.labels : metadata?.annotations)?.[subscript[2] ?? ''] ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return metadata?.name ?? '';
    case 'metadata.namespace':
      return metadata?.namespace ?? '';
    case 'metadata.uid':
      return metadata?.uid ?? '';
    case 'metadata.labels':
      return formatMap(metadata?.labels);
    case 'metadata.annotations':
      return formatMap(metadata?.annotations);
    case 'spec.nodeName':
      return spec?.nodeName || context.nodeName;
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? '';
    case 'status.hostIP':
      return context.hostIps[0] ?? status?.hostIP ?? '';
    case 'status.hostIPs':
      return context.hostIps.join(',');
    case 'status.podIP':
      return context.podIps[0] ?? '';
    case 'status.podIPs':
      return context.podIps.join(',');
    default:
      throw new Error(`unsupported fieldPath: ${fieldPath}`);
  }
}

/** One `key="value"` per line, sorted. */
export function formatMap(map: Record<string, string> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${quoted(value)}`)
    .join('\n');
}

const escapes: Record<string, string> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

/** As Go's %q writes a string. */
export function quoted(text: string): string {
  let out = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (escapes[char]) out += escapes[char];
    else if (code < 0x20 || code === 0x7f) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (/\p{C}|\p{Zl}|\p{Zp}/u.test(char) || (/\p{Zs}/u.test(char) && char !== ' '))
      out += code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
    else out += char;
  }
  return `"${out}"`;
}

/**
 * `limits.cpu`, `requests.memory` and so on of a container, divided and rounded up.
 * A limit that is not set is what the node has.
 */
export function resourceField(
  container: Container,
  resource: string,
  divisor: string | undefined,
  nodeAllocatable: Record<string, string>,
): string {
  const match = /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/.exec(resource);
  if (!match) throw new Error(`unsupported container resource : ${resource}`);
  const [, side, name = ''] = match;
  const { limits, requests } = container.resources ?? {};
  const value = side === 'limits' ? (limits?.[name] ?? nodeAllocatable[name] ?? '0') : (requests?.[name] ?? '0');
  const unit = !divisor || /^0/.test(divisor) ? '1' : divisor;
  const read = name === 'cpu' ? quantityMilliValue : quantityValue;
  return String(Math.ceil(read(parseQuantity(value)) / read(parseQuantity(unit))));
}
