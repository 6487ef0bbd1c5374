import { describe, expect, it } from 'vitest';
import { KinitError } from '../../../src/installer/errors.ts';
import {
  isSkipped,
  type Phase,
  type PhaseContext,
  type PhaseResult,
  runPhases,
} from '../../../src/installer/phases/engine.ts';

const context = { facts: { hostname: 'h' }, signal: new AbortController().signal } as PhaseContext;

async function run(phases: Phase[], skip: string[] = [], signal = context.signal) {
  const log: string[] = [];
  const ended: PhaseResult[] = [];
  const aborted: Error[] = [];
  const observer = {
    phaseStarted: ({ name }: { name: string }) => log.push(`start ${name}`),
    phaseEnded: (result: PhaseResult) => {
      log.push(`end ${result.name} ${result.outcome}`);
      ended.push(result);
    },
  };
  const outcome = await runPhases(
    phases,
    { ...context, signal },
    { skip, observer, abort: (e) => aborted.push(e) },
  ).catch((e: unknown) => e);
  return { log, outcome, aborted };
}

const phase = (name: string, more: Partial<Phase> = {}): Phase => ({
  name,
  title: name,
  run: async () => true,
  ...more,
});

describe('phases', () => {
  it('run in order and report what changed', async () => {
    const { log } = await run([
      phase('a'),
      phase('b', { run: async () => false }),
      phase('c', { needed: () => false }),
    ]);
    expect(log).toEqual(['start a', 'end a changed', 'start b', 'end b unchanged', 'end c skipped']);
  });

  it('say who stopped them, whatever they were in the middle of', async () => {
    const stop = new AbortController();
    const asking = phase('asking', {
      run: async () => {
        stop.abort(new KinitError('Interrupted', 'interrupted by SIGINT', { advice: 'run it again' }));
        throw new DOMException('This operation was aborted', 'AbortError');
      },
    });
    const { outcome } = await run([asking], [], stop.signal);
    expect(outcome).toMatchObject({ code: 'Interrupted', details: { phase: 'asking', advice: 'run it again' } });
  });

  it('go on beside a background phase until one needs it', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { log } = await run([
      phase('slow', { background: true, run: () => gate.then(() => true) }),
      phase('beside', {
        run: async () => {
          release();
          return true;
        },
      }),
      phase('needs', { after: ['slow'] }),
    ]);
    expect(log.indexOf('end beside changed')).toBeGreaterThan(log.indexOf('start slow'));
    expect(log.indexOf('start needs')).toBeGreaterThan(log.indexOf('end slow changed'));
  });

  it('stop at the first failure, which names phase and host', async () => {
    const { log, outcome, aborted } = await run([
      phase('a', {
        run: async () => {
          throw new Error('boom');
        },
      }),
      phase('b'),
    ]);
    expect(log).toEqual(['start a', 'end a failed']);
    expect(outcome).toBeInstanceOf(KinitError);
    expect((outcome as KinitError).details).toMatchObject({ phase: 'a', host: 'h' });
    expect(aborted).toHaveLength(1);
  });

  it('stop when a background phase fails', async () => {
    const { log, outcome } = await run([
      phase('bad', {
        background: true,
        run: async () => {
          throw new KinitError('Command', 'no disk');
        },
      }),
      phase('b', { after: ['bad'] }),
      phase('c', { background: true, after: ['bad'] }),
    ]);
    expect(log).toEqual(['start bad', 'end bad failed']);
    expect((outcome as KinitError).message).toBe('no disk');
  });

  it.each([
    ['certs/ca', ['certs'], true],
    ['certs/ca', ['certs/all'], true],
    ['certs/ca', ['certs/ca'], true],
    ['certs/ca', ['certs/apiserver'], false],
    ['preflight', ['preflight'], true],
    ['preflight', [], false],
  ])('%s with --skip-phases=%s', (name, skip, expected) => {
    expect(isSkipped(name, skip)).toBe(expected);
  });
});
