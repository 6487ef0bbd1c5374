/** Chooses how events are shown: JSON lines on demand, a tree on a terminal, plain lines otherwise. */
import { type EventSink, formatEvent } from '../../installer/phases/events.ts';
import { plainLine } from './plain.ts';

export interface Renderer {
  sink: EventSink;
  finish(): Promise<void>;
}

export interface OutputStream {
  isTTY?: boolean;
  write(text: string): unknown;
}

export async function createRenderer(output: string, stream: OutputStream = process.stdout): Promise<Renderer> {
  const finish = async () => undefined;
  if (output === 'json') return { sink: (event) => stream.write(formatEvent(event)), finish };
  if (stream.isTTY && output !== 'plain') {
    const { treeRenderer } = await import('./tree.ts');
    return treeRenderer((line) => stream.write(`${line}\n`));
  }
  const sink: EventSink = (event) => {
    const line = plainLine(event);
    if (line !== undefined) stream.write(`${line}\n`);
  };
  return { sink, finish };
}
