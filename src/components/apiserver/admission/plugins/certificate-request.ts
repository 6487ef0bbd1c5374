/** The organizations in a PKCS#10 certificate request: as much ASN.1 (DER) as that takes. */

/** Object identifier 2.5.4.10, organizationName, with its tag and length. */
const organizationName = Buffer.from([0x06, 0x03, 0x55, 0x04, 0x0a]);

interface Element {
  tag: number;
  content: Buffer;
  /** Where the next element begins. */
  end: number;
}

/** `request` is the base64 of a PEM block, as in `spec.request`. Empty for what is no request: validation says so elsewhere. */
export function organizationsOfRequest(request: string): string[] {
  const pem = Buffer.from(request, 'base64').toString('utf8');
  const body = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([\s\S]+?)-----END/.exec(pem)?.[1];
  if (!body) return [];
  try {
    // CertificationRequest ::= SEQUENCE { CertificationRequestInfo ::= SEQUENCE { version, subject, … }, … }
    const info = readElement(readElement(Buffer.from(body, 'base64'), 0).content, 0).content;
    const version = readElement(info, 0);
    return organizationsOfName(readElement(info, version.end).content);
  } catch {
    return [];
  }
}

function organizationsOfName(name: Buffer): string[] {
  const found: string[] = [];
  for (const relative of children(name))
    for (const pair of children(relative.content)) {
      if (!pair.content.subarray(0, organizationName.length).equals(organizationName)) continue;
      found.push(readElement(pair.content, organizationName.length).content.toString('utf8'));
    }
  return found;
}

function children(content: Buffer): Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < content.length; ) {
    const element = readElement(content, at);
    elements.push(element);
    at = element.end;
  }
  return elements;
}

function readElement(bytes: Buffer, at: number): Element {
  const tag = bytes.readUInt8(at);
  const first = bytes.readUInt8(at + 1);
  const lengthBytes = first & 0x80 ? first & 0x7f : 0;
  const length = lengthBytes ? bytes.readUIntBE(at + 2, lengthBytes) : first;
  const start = at + 2 + lengthBytes;
  if (start + length > bytes.length) throw new RangeError('DER element is cut short');
  return { tag, content: bytes.subarray(start, start + length), end: start + length };
}
