/**
 * Programs without what only debuggers read. Symbols and debugging information of an ELF file lie behind the last segment that
 * is loaded, with the section headers; the kernel and the dynamic loader look at neither.
 */

const headerOf64Bit = { phoff: 0x20, shoff: 0x28, phentsize: 0x36, phnum: 0x38, shnum: 0x3c, shstrndx: 0x3e };

/** @throws when it is not a little-endian 64-bit ELF file */
export function trimmedElf(elf: Buffer): Buffer {
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1)
    throw new Error('this is not a little-endian 64-bit ELF file');
  const at = headerOf64Bit;
  const start = Number(elf.readBigUInt64LE(at.phoff));
  const entrySize = elf.readUInt16LE(at.phentsize);
  const count = elf.readUInt16LE(at.phnum);
  let end = start + entrySize * count;
  for (let entry = start; entry < start + entrySize * count; entry += entrySize) {
    const offset = Number(elf.readBigUInt64LE(entry + 8));
    const size = Number(elf.readBigUInt64LE(entry + 32));
    end = Math.max(end, offset + size);
  }
  if (end > elf.length) throw new Error('the ELF file is shorter than its segments');
  const trimmed = Buffer.from(elf.subarray(0, end));
  trimmed.writeBigUInt64LE(0n, at.shoff);
  trimmed.writeUInt16LE(0, at.shnum);
  trimmed.writeUInt16LE(0, at.shstrndx);
  return trimmed;
}
