/** YAML as Go writes it. */
import { dump } from 'js-yaml';

/** With sorted keys. */
export function formatYaml(document: unknown): string {
  return dump(document, { sortKeys: true, lineWidth: -1, seqNoIndent: true, quoteStyle: 'double' });
}
