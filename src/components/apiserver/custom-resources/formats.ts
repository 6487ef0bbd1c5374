/** The string formats that schemas of custom resources may demand, and Go's regular expressions. */
import { isIPv4, isIPv6 } from 'node:net';

const uuid = (version?: string) =>
  new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version ?? '[0-9a-f]'}[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$`, 'i');
const matches = (pattern: RegExp) => (value: string) => pattern.test(value);

const dateTime = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const goDuration = /^[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w))+)$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function isUri(value: string): boolean {
  return URL.canParse(value) || (value.startsWith('/') && URL.canParse(value, 'http://localhost'));
}

function isCidr(value: string): boolean {
  const [address = '', bits = '', more] = value.split('/');
  if (more !== undefined || !/^\d{1,3}$/.test(bits)) return false;
  return (isIPv4(address) && Number(bits) <= 32) || (isIPv6(address) && Number(bits) <= 128);
}

const hostname = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,62}[a-z0-9_])?)*\.?$/i;

const checks: Record<string, (value: string) => boolean> = {
  'date-time': (value) => dateTime.test(value) && !Number.isNaN(Date.parse(value.toUpperCase())),
  date: (value) => /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value)),
  duration: matches(goDuration),
  byte: matches(base64),
  uri: isUri,
  ipv4: isIPv4,
  ipv6: isIPv6,
  cidr: isCidr,
  mac: matches(/^([0-9a-f]{2}[:-]){5,7}[0-9a-f]{2}$/i),
  uuid: matches(uuid()),
  uuid3: matches(uuid('3')),
  uuid4: matches(uuid('4')),
  uuid5: matches(uuid('5')),
  email: matches(/^[^@\s]+@[^@\s]+$/),
  hostname: matches(hostname),
  hexcolor: matches(/^#?([0-9a-f]{3}|[0-9a-f]{6})$/i),
  bsonobjectid: matches(/^[0-9a-f]{24}$/i),
};
checks['datetime'] = checks['date-time'] as (value: string) => boolean;

/** Formats that are not known are no restriction. */
export const hasFormat = (format: string, value: string): boolean => checks[format]?.(value) ?? true;

const posix: Record<string, string> = {
  alnum: 'a-zA-Z0-9',
  alpha: 'a-zA-Z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '\\w',
  xdigit: '0-9A-Fa-f',
};

/** A pattern of Go's regexp package as one of JavaScript. Throws for one that cannot be read. */
export function goPattern(pattern: string): RegExp {
  let flags = '';
  const source = pattern
    .replace(/^\(\?([ims]+)\)/, (_, given: string) => {
      flags = given;
      return '';
    })
    .replace(/\[:(\w+):\]/g, (all, name: string) => posix[name] ?? all)
    .replace(/\\A/g, '^')
    .replace(/\\z/g, '$')
    .replace(/\(\?P</g, '(?<');
  try {
    return new RegExp(source, `${flags}u`);
  } catch {
    // Escapes that the Unicode mode does not know (`\-`, `\_`).
    return new RegExp(source, flags);
  }
}
