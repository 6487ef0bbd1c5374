/** Syntax errors of JSON in the words of Go's encoding/json, which clients and users know. */

/** The message for a text that JSON.parse refused. */
export function goSyntaxError(text: string, error: Error): string {
  if (text.trim() === '') return text === '' ? 'EOF' : 'unexpected end of JSON input';
  const at = positionOf(text, error);
  if (at === undefined || at >= text.length) return 'unexpected end of JSON input';
  return `invalid character ${quoted(text[at]!)} ${expectation(text, at)}`;
}

function positionOf(text: string, error: Error): number | undefined {
  const position = /position (\d+)/.exec(error.message);
  if (position) return Number(position[1]);
  if (/Unexpected end/.test(error.message)) return undefined;
  // V8 leaves the position out for short texts: the first character is what it complains about.
  const token = /Unexpected token '?(.)/u.exec(error.message)?.[1];
  const found = token === undefined ? -1 : text.indexOf(token);
  return found < 0 ? undefined : found;
}

const quoted = (character: string): string =>
  character === "'" ? `'\\''` : character === '"' ? `'"'` : `'${character}'`;

function expectation(text: string, at: number): string {
  const before = text.slice(0, at).trimEnd();
  if (before === '' || /[[:]$/.test(before)) return 'looking for beginning of value';
  const open = lastOpen(before);
  if (before.endsWith('{')) return 'looking for beginning of object key string';
  if (before.endsWith(',')) {
    return open === '{' ? 'looking for beginning of object key string' : 'looking for beginning of value';
  }
  if (open === '{') return /"\s*:\s*\S+$/.test(before) ? 'after object key:value pair' : 'after object key';
  if (open === '[') return 'after array element';
  return 'after top-level value';
}

/** The innermost bracket that is still open. */
function lastOpen(text: string): '{' | '[' | undefined {
  const stack: ('{' | '[')[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') {
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++;
    } else if (character === '{' || character === '[') stack.push(character);
    else if (character === '}' || character === ']') stack.pop();
  }
  return stack.at(-1);
}
