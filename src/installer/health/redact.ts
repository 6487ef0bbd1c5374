/** Takes out of a text what nobody else may see: keys, tokens, passwords. */

const gone = '<redacted>';

/** What is found is replaced, up to what the expression keeps in its first group. */
const rules: [RegExp, string][] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, gone],
  // Base64 of a PEM block: `-----BEGIN RSA PRIVATE KEY`, `… EC …`, `… PRIVATE …` at any of the three alignments.
  [/LS0tLS1CRUdJTi[A-Za-z0-9+/=]*(?:UFJJVkFURS|BSSVZBVE|QUklWQVRF)[A-Za-z0-9+/=]*/g, gone],
  [/\b((?:client-)?key-data"?\s*[:=]\s*"?)[^\s"]+/gi, `$1${gone}`],
  // JSON Web Tokens.
  [/\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*/g, gone],
  // Bootstrap tokens: the first half is no secret, and says which one it was.
  [/\b([a-z0-9]{6})\.[a-z0-9]{16}\b/g, `$1.${gone}`],
  [/(authorization"?\s*[:=]\s*"?(?:bearer|basic)\s+)[^\s"']+/gi, `$1${gone}`],
  [
    /(["']?[\w.-]*(?:password|passwd|secret|token|apikey|api_key)["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,"'{}[\]]+)/gi,
    `$1"${gone}"`,
  ],
  // user:password@host
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]+:)[^\s/@]+@/gi, `$1${gone}@`],
];

export function redact(text: string): string {
  return rules.reduce((left, [pattern, replacement]) => left.replace(pattern, replacement), text);
}

/**
 * An object of the API without what may be secret: values of environment variables, and the copy of the manifest that kubectl
 * keeps in an annotation.
 */
export function redactObject(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redactObject);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'managedFields' && key !== 'kubectl.kubernetes.io/last-applied-configuration')
      .map(([key, field]) => [
        key,
        key === 'env' && Array.isArray(field) ? field.map(redactVariable) : redactObject(field),
      ]),
  );
}

function redactVariable(variable: unknown): unknown {
  if (typeof variable !== 'object' || variable === null || !('value' in variable)) return variable;
  return { ...variable, value: gone };
}
