/**
 * SPDY/3.1 name/value header blocks (draft-mbelshe-httpbis-spdy-00, section 2.6.10): each direction of a connection
 * is one zlib stream with a preset dictionary, flushed at each block.
 */
import { constants, inflateRawSync } from 'node:zlib';

/** Lower-case names; a name that comes several times has its values joined by NUL on the wire. */
export type SpdyHeaders = Record<string, string[]>;

const prefixedWords =
  'options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|age|allow|' +
  'authorization|cache-control|connection|content-base|content-encoding|content-language|content-length|content-location|' +
  'content-md5|content-range|content-type|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|' +
  'if-range|if-unmodified-since|last-modified|location|max-forwards|pragma|proxy-authenticate|proxy-authorization|range|' +
  'referer|retry-after|server|te|trailer|transfer-encoding|upgrade|user-agent|vary|via|warning|www-authenticate|method|' +
  'get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|keep-alive|origin';
const plainTail =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized' +
  '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable' +
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,' +
  'publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

const lengthPrefix = (length: number): Buffer => {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(length);
  return prefix;
};

/** The dictionary of section 2.6.10.1. */
export function headerDictionary(): Buffer {
  const parts: Buffer[] = [];
  for (const word of prefixedWords.split('|')) parts.push(lengthPrefix(word.length), Buffer.from(word, 'latin1'));
  parts.push(Buffer.from(plainTail, 'latin1'));
  return Buffer.concat(parts);
}

/** CMF and FLG with FDICT, then the dictionary's Adler-32. */
const zlibPreamble = Buffer.from([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]);
const windowSize = 32_768;

/** Turns headers into blocks. They go out as stored (uncompressed) deflate blocks: legal, stateless, and small anyway. */
export class HeaderEncoder {
  private started = false;

  encode(headers: SpdyHeaders): Buffer {
    const names = Object.keys(headers);
    const pairs: Buffer[] = [lengthPrefix(names.length)];
    for (const name of names) {
      const key = Buffer.from(name.toLowerCase(), 'latin1');
      const value = Buffer.from((headers[name] ?? []).join('\0'), 'utf8');
      pairs.push(lengthPrefix(key.length), key, lengthPrefix(value.length), value);
    }
    const plain = Buffer.concat(pairs);
    const out: Buffer[] = this.started ? [] : [zlibPreamble];
    this.started = true;
    for (let at = 0; at < plain.length; at += 0xffff) out.push(...storedBlock(plain.subarray(at, at + 0xffff)));
    // An empty stored block is zlib's sync flush: it makes the other side deliver what it has.
    out.push(...storedBlock(Buffer.alloc(0)));
    return Buffer.concat(out);
  }
}

function storedBlock(data: Buffer): Buffer[] {
  const head = Buffer.alloc(5);
  head.writeUInt16LE(data.length, 1);
  head.writeUInt16LE(data.length ^ 0xffff, 3);
  return [head, data];
}

/**
 * Turns blocks into headers. After a sync flush the state of an inflater is its window alone, so each block is
 * inflated by itself with the last 32 KiB of plain text as the dictionary: no stream has to live with the connection.
 */
export class HeaderDecoder {
  private window: Buffer | undefined;

  /** Throws for a block that is not valid. */
  decode(block: Buffer): SpdyHeaders {
    let body = block;
    if (!this.window) {
      if (!block.subarray(0, zlibPreamble.length).equals(zlibPreamble) && !hasDictionary(block))
        throw new Error('SPDY header block does not begin with a zlib stream that uses the SPDY/3 dictionary');
      body = block.subarray(zlibPreamble.length);
      this.window = headerDictionary();
    }
    const plain = inflateRawSync(body, { dictionary: this.window, finishFlush: constants.Z_SYNC_FLUSH });
    this.window = Buffer.from(Buffer.concat([this.window, plain]).subarray(-windowSize));
    return parseHeaders(plain);
  }
}

/** Another compression level writes another FLG byte, the same dictionary checksum. */
function hasDictionary(block: Buffer): boolean {
  return (
    block.length >= 6 &&
    ((block[0] ?? 0) & 0x0f) === 8 &&
    ((block[1] ?? 0) & 0x20) !== 0 &&
    block.subarray(2, 6).equals(zlibPreamble.subarray(2))
  );
}

function parseHeaders(plain: Buffer): SpdyHeaders {
  const headers: SpdyHeaders = {};
  let at = 4;
  const text = (encoding: BufferEncoding) => {
    const length = plain.readUInt32BE(at);
    at += 4 + length;
    if (at > plain.length) throw new Error('SPDY header block is cut short');
    return plain.toString(encoding, at - length, at);
  };
  for (let left = plain.readUInt32BE(0); left > 0; left--) {
    const name = text('latin1');
    headers[name] = text('utf8').split('\0');
  }
  return headers;
}
