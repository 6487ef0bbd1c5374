/** JSONPath templates of `-o jsonpath=…`: text, `{.path}`, `{"\n"}`, `{range .list[*]}…{end}`. */
import { KinitError } from '../../installer/errors.ts';
import { compileJsonPath } from '../../machinery/json-path.ts';

type Part =
  | { text: string }
  | { path: (value: unknown) => unknown[] }
  | { range: (value: unknown) => unknown[]; parts: Part[] };

const printed = (value: unknown) =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);

/**
 * @param asJson prints what was found as a JSON list
 * @throws KinitError Usage when the template cannot be read
 */
export function evaluateTemplate(template: string, object: unknown, asJson = false): string {
  const parts = parseTemplate(template.includes('{') ? template : `{${template}}`);
  if (!asJson) return parts.map((part) => write(part, object)).join('');
  const found = parts.flatMap((part) => ('path' in part ? part.path(object) : []));
  return `${JSON.stringify(found, null, 4)}\n`;
}

function write(part: Part, value: unknown): string {
  if ('text' in part) return part.text;
  if ('path' in part) return part.path(value).map(printed).join(' ');
  return part
    .range(value)
    .flatMap((item) => part.parts.map((inner) => write(inner, item)))
    .join('');
}

function parseTemplate(template: string): Part[] {
  const open: { range?: (value: unknown) => unknown[]; parts: Part[] }[] = [{ parts: [] }];
  // Braces inside quotes belong to the quoted text.
  for (const [, action, text] of template.matchAll(
    /\{((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^{}"'])*)\}|([^{]+|\{)/g,
  )) {
    const top = open.at(-1)!;
    if (action === undefined) {
      if (text === '{') throw wrong(template, 'a brace is not closed');
      top.parts.push({ text: text ?? '' });
      continue;
    }
    const inner = action.trim();
    if (inner === 'end') {
      const done = open.pop()!;
      if (!done.range) throw wrong(template, '{end} without {range}');
      open.at(-1)!.parts.push({ range: done.range, parts: done.parts });
    } else if (inner.startsWith('range ')) open.push({ range: pathOf(template, inner.slice(6).trim()), parts: [] });
    else top.parts.push(partOf(template, inner));
  }
  if (open.length > 1) throw wrong(template, '{range} without {end}');
  return open[0]!.parts;
}

function partOf(template: string, inner: string): Part {
  const quoted = /^"((?:[^"\\]|\\.)*)"$|^'((?:[^'\\]|\\.)*)'$/.exec(inner);
  if (!quoted) return { path: pathOf(template, inner) };
  const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r' };
  return { text: (quoted[1] ?? quoted[2] ?? '').replace(/\\(.)/g, (_, letter: string) => escapes[letter] ?? letter) };
}

function pathOf(template: string, path: string): (value: unknown) => unknown[] {
  try {
    return compileJsonPath(path === '@' || path === '.' ? '' : path.replace(/^@/, ''));
  } catch (error) {
    throw wrong(template, error instanceof Error ? error.message : String(error));
  }
}

const wrong = (template: string, reason: string) =>
  new KinitError('Usage', `the JSONPath template "${template}" cannot be read: ${reason}`);
