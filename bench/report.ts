/** Figures with budgets and ratios: as a table on the terminal, and as JSON in bench/results/. */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import type { Reference } from './reference.ts';

/** The empty one: a number of something. */
export type Unit = 's' | 'MB' | 's/min' | '';

export interface Figure {
  what: string;
  value: number;
  unit: Unit;
  budget?: number;
}

export interface Report {
  time: string;
  machine: { cpus: number; model: string; kernel: string; load: number };
  reference: Reference;
  figures: Figure[];
  /** Milliseconds of each phase, by run. */
  phases: Record<string, { name: string; ms: number }[]>;
}

/** Seconds against hashing 1 GiB, memory against an idle Node process; sizes stand for themselves. */
export function ratioOf({ what, value, unit }: Figure, reference: Reference): number | undefined {
  if (unit === '') return undefined;
  if (unit !== 'MB') return value / reference.hashSeconds;
  return what.startsWith('memory') ? value / reference.nodeRssMb : undefined;
}

const number = (value: number) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

function table(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => row.map((cell, i) => (i ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  '))
    .join('\n');
}

export function formatReport({ reference, figures, phases, machine }: Report): string {
  const rows = figures.map((figure) => {
    const { what, value, unit, budget } = figure;
    const ratio = ratioOf(figure, reference);
    return [
      what,
      `${number(value)} ${unit}`.trim(),
      ratio === undefined ? '' : number(ratio),
      budget === undefined ? '' : `${budget} ${unit}`,
      budget === undefined ? '' : value <= budget ? 'yes' : 'no',
    ];
  });
  const parts = [
    `reference: 1 GiB hashed in ${number(reference.hashSeconds)} s, node starts in ${number(reference.nodeStartSeconds)} s, idle node ${number(reference.nodeRssMb)} MB; ${machine.cpus} CPUs, load ${number(machine.load)}`,
    table([['what', 'measured', 'ratio', 'budget', 'met'], ...rows]),
  ];
  for (const [run, list] of Object.entries(phases)) {
    const shown = list.filter(({ ms }) => ms >= 10);
    parts.push(`phases of ${run} (10 ms and longer)\n${table(shown.map(({ name, ms }) => [`  ${name}`, `${ms} ms`]))}`);
  }
  return `${parts.join('\n\n')}\n`;
}

export interface Measured extends Omit<Report, 'time' | 'machine'> {
  name: string;
  /** Where reports are kept. */
  folder: string;
  /** Also as the sample that is in the repository: a file of this name, without ending. */
  sample?: string | undefined;
}

/** Keeps what was measured under its time, and prints it. */
export async function endReport({ name, folder, sample, ...measured }: Measured): Promise<void> {
  const [processor] = cpus();
  const report: Report = {
    time: new Date().toISOString(),
    machine: { cpus: cpus().length, model: processor?.model ?? '', kernel: release(), load: loadavg()[0] ?? 0 },
    ...measured,
  };
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}-${report.time.replace(/[:.]/g, '')}.json`);
  const text = `${JSON.stringify(report, null, 2)}\n`;
  await writeFile(path, text);
  if (sample) await writeFile(join(folder, `${sample}.json`), text);
  process.stdout.write(`\n${formatReport(report)}\nkept in ${path}\n`);
}
