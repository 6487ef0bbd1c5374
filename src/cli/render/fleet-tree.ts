/** Hosts as a list on a terminal, one line per host with what it does at the moment, drawn by listr2. */
import { type DefaultRenderer, Listr, type ListrTaskWrapper, type SimpleRenderer } from 'listr2';
import type { FleetEvent } from '../../installer/fleet/events.ts';
import { closingLine, howFar } from './fleet-plain.ts';

type Wrapper = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

interface HostLine {
  name: string;
  running: Map<string, string>;
  progress: string;
  startedAt: number;
  task?: Wrapper;
  settle: { resolve(): void; reject(error: Error): void };
  done: Promise<void>;
}

const barWidth = 24;

function bar(event: FleetEvent & { type: 'step-progress' }): string {
  const { done, total } = event;
  const filled = total ? Math.round((done / total) * barWidth) : barWidth;
  return `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${howFar(event)}`;
}

export interface FleetTree {
  sink(event: FleetEvent): void;
  finish(): Promise<void>;
}

export function fleetTree(print: (line: string) => void): FleetTree {
  const lines = new Map<string, HostLine>();
  const later: string[] = [];
  let drawing: Promise<unknown> | undefined;

  const lineOf = (name: string): HostLine => {
    const known = lines.get(name);
    if (known) return known;
    const { promise: done, resolve, reject } = Promise.withResolvers<void>();
    done.catch(() => undefined);
    const line = {
      name,
      running: new Map(),
      progress: '',
      startedAt: performance.now(),
      settle: { resolve, reject },
      done,
    };
    lines.set(name, line);
    return line;
  };
  /** All hosts have spoken once when the current turn is over. */
  const draw = () => {
    drawing ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        const list = new Listr(
          [...lines.values()].map((line) => ({
            title: line.name,
            task: (_: unknown, task: Wrapper) => {
              line.task = task;
              show(line);
              return line.done;
            },
          })),
          { concurrent: true, exitOnError: false, rendererOptions: { collapseErrors: false, showErrorMessage: true } },
        );
        list.run().then(resolve, reject);
      });
    });
  };
  const show = (line: HostLine) => {
    if (line.task) line.task.output = line.progress || [...line.running.values()].join(', ');
  };
  const entitle = (line: HostLine, text: string) => {
    if (line.task) line.task.title = `${line.name}  ${text}`;
  };
  const took = (line: HostLine) => `${((performance.now() - line.startedAt) / 1000).toFixed(1)} s`;

  return {
    sink(event) {
      if (event.type === 'fleet-ended') {
        for (const line of lines.values()) line.settle.resolve();
        const closing = closingLine(event);
        if (closing) later.push(closing);
        return;
      }
      const line = lineOf(event.host);
      draw();
      switch (event.type) {
        case 'step-started':
          line.running.set(event.step, event.title);
          break;
        case 'step-progress':
          line.progress = bar(event);
          break;
        case 'step-ended':
          line.running.delete(event.step);
          line.progress = '';
          if (event.step === 'connect' && event.detail) entitle(line, event.detail);
          break;
        case 'phase-started':
          line.running.set(event.phase, event.title);
          break;
        case 'phase-ended':
          line.running.delete(event.phase);
          break;
        case 'warning':
          later.push(`[${event.host}] warning: ${event.message}`);
          break;
        case 'planned':
          later.push(`[${event.host}] would ${event.action} ${event.what}`);
          break;
        case 'ended':
          line.running.clear();
          if (event.ok) entitle(line, `${event.changed ? 'done' : 'unchanged'} (${took(line)})`);
          break;
        case 'host-failed':
          line.settle.reject(new Error(`${event.host}: ${event.error.message}`));
          break;
        case 'started':
        // Stands in the table at the end.
        case 'leftover':
          break;
      }
      show(line);
    },
    async finish() {
      for (const line of lines.values()) line.settle.resolve();
      await drawing;
      for (const line of later) print(line);
    },
  };
}
