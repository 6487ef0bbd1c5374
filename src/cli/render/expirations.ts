/** What `kinit certs check-expiration` prints: kubeadm's two tables, or its CertificateExpirationInfo. */
import { type Expiration, type Expirations, shortDuration } from '../../installer/pki/expiration.ts';

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (number: number) => String(number).padStart(2, '0');

function formatDate(date: Date): string {
  const day = `${months[date.getUTCMonth()]} ${two(date.getUTCDate())}, ${date.getUTCFullYear()}`;
  return `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())} UTC`;
}

/** Columns at least ten wide, three blanks apart; the last one is not padded. */
function columns(lines: readonly (readonly string[])[]): string {
  const width = (column: number) => Math.max(10, ...lines.map((line) => (line[column]?.length ?? 0) + 3));
  const widths = lines[0]!.map((_, column) => width(column));
  return lines
    .map((line) => `${line.map((cell, i) => (i === line.length - 1 ? cell : cell.padEnd(widths[i]!))).join('')}\n`)
    .join('');
}

function row({ name, expires, residualSeconds, external, authority }: Expiration): string[] {
  const middle = authority === undefined ? [] : [expires ? authority : ''];
  if (!expires) return [`!MISSING! ${name}`, '', '', ...middle, ''];
  return [name, formatDate(expires), shortDuration(residualSeconds), ...middle, (external ? 'yes' : 'no').padEnd(8)];
}

export function formatExpirations({ certificates, authorities }: Expirations): string {
  return `${columns([
    ['CERTIFICATE', 'EXPIRES', 'RESIDUAL TIME', 'CERTIFICATE AUTHORITY', 'EXTERNALLY MANAGED'],
    ...certificates.map(row),
  ])}\n${columns([['CERTIFICATE AUTHORITY', 'EXPIRES', 'RESIDUAL TIME', 'EXTERNALLY MANAGED'], ...authorities.map(row)])}`;
}

/** The document that `-o json` and `-o yaml` print. */
export function expirationInfo({ certificates, authorities }: Expirations): object {
  const entry = ({ name, expires, residualSeconds, external, authority }: Expiration) => ({
    name,
    expirationDate: expires ? `${expires.toISOString().slice(0, 19)}Z` : null,
    residualTime: residualSeconds,
    externallyManaged: external,
    ...(authority ? { caName: authority } : {}),
    ...(expires ? {} : { missing: true }),
  });
  return {
    kind: 'CertificateExpirationInfo',
    apiVersion: 'output.kubeadm.k8s.io/v1alpha3',
    certificates: certificates.map(entry),
    certificateAuthorities: authorities.map(entry),
  };
}
