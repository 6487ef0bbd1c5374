/** Events as a list on a terminal, one line per group of phases, drawn by listr2. */
import { type DefaultRenderer, Listr, type ListrTaskWrapper, type SimpleRenderer } from 'listr2';
import type { EventSink, PhaseEvent } from '../../installer/phases/events.ts';
import { differenceLines } from './plain.ts';

type Wrapper = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

interface Group {
  name: string;
  open: Set<string>;
  running: Map<string, string>;
  changed: number;
  ms: number;
  task?: Wrapper;
  settle: { resolve(): void; reject(error: Error): void };
  done: Promise<void>;
}

const groupOf = (phase: string) => phase.split('/')[0]!;

const titles: Record<string, string> = {
  preflight: 'Check the host',
  host: 'Prepare the host',
  runtime: 'Container runtime',
  images: 'Images',
  certs: 'Certificates',
  kubeconfig: 'kubeconfig files',
  'control-plane': 'Control plane',
  'upload-config': 'Store configuration',
  addon: 'Add-ons',
  'cleanup-node': 'Clean up',
};

export interface TreeRenderer {
  sink: EventSink;
  /** Resolves when everything is drawn. */
  finish(): Promise<void>;
}

export function treeRenderer(print: (line: string) => void): TreeRenderer {
  const groups = new Map<string, Group>();
  const later: string[] = [];
  let drawing: Promise<unknown> = Promise.resolve();

  const begin = (phases: { name: string; title: string }[]) => {
    for (const { name } of phases) {
      const key = groupOf(name);
      let group = groups.get(key);
      if (!group) {
        const settle: Group['settle'] = { resolve: () => undefined, reject: () => undefined };
        const done = new Promise<void>((resolve, reject) => {
          settle.resolve = resolve;
          settle.reject = reject;
        });
        done.catch(() => undefined);
        group = { name: key, open: new Set(), running: new Map(), changed: 0, ms: 0, settle, done };
        groups.set(key, group);
      }
      group.open.add(name);
    }
    const titleOf = (key: string) => titles[key] ?? phases.find(({ name }) => groupOf(name) === key)!.title;
    const list = new Listr(
      [...groups.values()].map((group) => ({
        title: titleOf(group.name),
        task: (_: unknown, task: Wrapper) => {
          group.task = task;
          return group.done;
        },
      })),
      { concurrent: true, exitOnError: false, rendererOptions: { collapseErrors: false, showErrorMessage: false } },
    );
    drawing = list.run();
  };

  const phaseEnded = (event: PhaseEvent & { type: 'phase-ended' }) => {
    const group = groups.get(groupOf(event.phase));
    if (!group) return;
    group.open.delete(event.phase);
    group.running.delete(event.phase);
    if (event.outcome === 'changed') group.changed++;
    group.ms += event.ms;
    if (event.outcome === 'failed') return group.settle.reject(new Error(event.title));
    if (group.task) group.task.output = [...group.running.values()].join(', ');
    if (group.open.size) return;
    if (group.task) {
      const what = group.changed ? '' : 'unchanged, ';
      group.task.title = `${group.task.title} (${what}${(group.ms / 1000).toFixed(2)} s)`;
    }
    group.settle.resolve();
  };

  return {
    sink(event) {
      if (event.type === 'started') begin(event.phases);
      else if (event.type === 'phase-started') {
        const group = groups.get(groupOf(event.phase));
        group?.running.set(event.phase, event.title);
        if (group?.task) group.task.output = [...group.running.values()].join(', ');
      } else if (event.type === 'phase-ended') phaseEnded(event);
      else if (event.type === 'warning') later.push(`warning: ${event.message}`);
      else if (event.type === 'leftover') later.push(`not given any more, and still there: ${event.what}`);
      else if (event.type === 'planned') {
        later.push(`would ${event.action} ${event.what}`, ...differenceLines(event.difference));
      } else for (const group of groups.values()) group.settle.resolve();
    },
    async finish() {
      await drawing;
      for (const line of later) print(line);
    },
  };
}
