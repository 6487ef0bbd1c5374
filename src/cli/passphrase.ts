/** Asks for the passphrase of a key on the terminal, also when standard input and output are something else. */
import { openSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import { KinitError } from '../installer/errors.ts';

const interrupt = '\u0003';
const endOfInput = '\u0004';
const erase = ['\u007f', '\b'];

/** Undefined without a terminal. */
export async function askPassphrase(keyPath: string, wrongBefore: boolean): Promise<string | undefined> {
  const terminal = openTerminal();
  if (!terminal) return undefined;
  const { input, output } = terminal;
  // First of all: what is typed from here on is not shown.
  input.setRawMode(true);
  output.write(`${wrongBefore ? 'That was not it. ' : ''}Passphrase of ${keyPath}: `);
  try {
    return await typedLine(input);
  } finally {
    input.setRawMode(false);
    output.write('\n');
    input.destroy();
    output.destroy();
  }
}

function openTerminal(): { input: ReadStream; output: WriteStream } | undefined {
  try {
    return { input: new ReadStream(openSync('/dev/tty', 'r')), output: new WriteStream(openSync('/dev/tty', 'w')) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A process without a terminal.
    if (code === 'ENXIO' || code === 'ENOENT' || code === 'ENOTTY' || code === 'EACCES') return undefined;
    throw error;
  }
}

function typedLine(input: ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = '';
    input.setEncoding('utf8');
    input.on('error', reject);
    input.on('data', (text) => {
      for (const letter of String(text)) {
        if (letter === interrupt) return reject(new KinitError('Interrupted', 'interrupted'));
        if (letter === '\r' || letter === '\n' || letter === endOfInput) return resolve(line);
        line = erase.includes(letter) ? line.slice(0, -1) : line + letter;
      }
    });
  });
}
