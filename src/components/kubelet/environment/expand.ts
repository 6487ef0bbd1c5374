/** $(VAR) references in values, commands and arguments. `$$` is a literal `$`; unknown references stay as they are. */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  let out = '';
  let at = 0;
  for (;;) {
    const dollar = text.indexOf('$', at);
    if (dollar < 0 || dollar === text.length - 1) return out + text.slice(at);
    out += text.slice(at, dollar);
    const next = text[dollar + 1] as string;
    if (next === '$') {
      out += '$';
      at = dollar + 2;
    } else if (next !== '(') {
      out += `$${next}`;
      at = dollar + 2;
    } else {
      const end = text.indexOf(')', dollar);
      if (end < 0) {
        out += '$(';
        at = dollar + 2;
      } else {
        const name = text.slice(dollar + 2, end);
        out += lookup(name) ?? `$(${name})`;
        at = end + 1;
      }
    }
  }
}

/** A container's command or args with its variables put in. */
export function expandAll(texts: string[] | undefined, variables: { name: string; value: string }[]): string[] {
  const values = new Map(variables.map(({ name, value }) => [name, value]));
  return (texts ?? []).map((text) => expand(text, (name) => values.get(name)));
}
