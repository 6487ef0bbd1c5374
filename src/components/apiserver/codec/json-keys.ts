/** Finds keys that a JSON text gives twice: JSON.parse keeps the last and tells nothing. */

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;

/** How many keys the text writes, duplicates included. The text must be valid JSON. */
export function countWrittenKeys(bytes: Uint8Array): number {
  let keys = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === colon) keys++;
    else if (byte === quote) {
      for (at++; bytes[at] !== quote; at++) if (bytes[at] === backslash) at++;
    }
  }
  return keys;
}

/** Paths of keys that occur twice in one object, in the order of the text, as `spec.containers[0].name`. */
export function duplicateKeys(text: string): string[] {
  const found: string[] = [];
  let at = 0;
  const skipSpace = () => {
    while (at < text.length && ' \t\r\n'.includes(text[at]!)) at++;
  };
  const readString = (): string => {
    const start = at++;
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    at++;
    return JSON.parse(text.slice(start, at)) as string;
  };
  function value(path: string): void {
    skipSpace();
    if (text[at] === '{') object(path);
    else if (text[at] === '[') array(path);
    else if (text[at] === '"') readString();
    else while (at < text.length && !',]} \t\r\n'.includes(text[at]!)) at++;
    skipSpace();
  }
  function object(path: string): void {
    const seen = new Set<string>();
    at++;
    skipSpace();
    while (text[at] !== '}') {
      const key = readString();
      const keyPath = path ? `${path}.${key}` : key;
      if (seen.has(key)) found.push(keyPath);
      seen.add(key);
      skipSpace();
      at++;
      value(keyPath);
      if (text[at] === ',') at++;
      skipSpace();
    }
    at++;
  }
  function array(path: string): void {
    at++;
    skipSpace();
    for (let index = 0; text[at] !== ']'; index++) {
      value(`${path}[${index}]`);
      if (text[at] === ',') at++;
      skipSpace();
    }
    at++;
  }
  value('');
  return found;
}
