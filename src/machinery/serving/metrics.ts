/** Counters, gauges and histograms in Prometheus' text format, small enough for every component. */

type Labels = Record<string, string>;

interface Series {
  labels: Labels;
  value: number;
  /** Histograms: counts per bucket. */
  buckets?: number[];
  count?: number;
}

export interface Counter {
  inc(labels?: Labels, by?: number): void;
}
export interface Gauge {
  set(value: number, labels?: Labels): void;
}
export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

interface Metric {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  bounds: number[];
  series: Map<string, Series>;
  /** Read when asked for. */
  collect?: () => void;
}

const defaultBounds = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4, 8, 15];

const labelKey = (labels: Labels) => JSON.stringify(labels);
/** A label's value in the text format: backslash, newline and quote are escaped. */
export const escapeValue = (text: string) =>
  text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');

const numberText = (value: number) =>
  Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';

function labelText(labels: Labels, extra?: [string, string]): string {
  const pairs = [...Object.entries(labels), ...(extra ? [extra] : [])];
  return pairs.length ? `{${pairs.map(([k, v]) => `${k}="${escapeValue(v)}"`).join(',')}}` : '';
}

export class MetricsRegistry {
  readonly #metrics = new Map<string, Metric>();

  counter(name: string, help: string): Counter {
    const metric = this.#metric(name, help, 'counter');
    return {
      inc: (labels = {}, by = 1) => {
        this.#series(metric, labels).value += by;
      },
    };
  }

  gauge(name: string, help: string, collect?: (set: (value: number, labels?: Labels) => void) => void): Gauge {
    const metric = this.#metric(name, help, 'gauge');
    const set = (value: number, labels: Labels = {}) => {
      this.#series(metric, labels).value = value;
    };
    if (collect) {
      metric.collect = () => {
        // What is gone is not told any more.
        metric.series.clear();
        collect(set);
      };
    }
    return { set };
  }

  histogram(name: string, help: string, bounds: number[] = defaultBounds): Histogram {
    const metric = this.#metric(name, help, 'histogram', bounds);
    return {
      observe: (value, labels = {}) => {
        const series = this.#series(metric, labels);
        series.buckets ??= bounds.map(() => 0);
        series.count = (series.count ?? 0) + 1;
        series.value += value;
        const index = bounds.findIndex((bound) => value <= bound);
        if (index >= 0) series.buckets[index] = (series.buckets[index] ?? 0) + 1;
      },
    };
  }

  /** The whole exposition. */
  text(): string {
    const lines: string[] = [];
    for (const metric of this.#metrics.values()) {
      metric.collect?.();
      lines.push(`# HELP ${metric.name} ${metric.help}`, `# TYPE ${metric.name} ${metric.type}`);
      for (const series of metric.series.values()) {
        if (metric.type !== 'histogram') {
          lines.push(`${metric.name}${labelText(series.labels)} ${numberText(series.value)}`);
          continue;
        }
        let sum = 0;
        metric.bounds.forEach((bound, i) => {
          sum += series.buckets?.[i] ?? 0;
          lines.push(`${metric.name}_bucket${labelText(series.labels, ['le', String(bound)])} ${sum}`);
        });
        lines.push(`${metric.name}_bucket${labelText(series.labels, ['le', '+Inf'])} ${series.count ?? 0}`);
        lines.push(
          `${metric.name}_sum${labelText(series.labels)} ${series.value}`,
          `${metric.name}_count${labelText(series.labels)} ${series.count ?? 0}`,
        );
      }
    }
    return `${lines.join('\n')}\n`;
  }

  #metric(name: string, help: string, type: Metric['type'], bounds: number[] = []): Metric {
    let metric = this.#metrics.get(name);
    if (!metric) {
      metric = { name, help, type, bounds, series: new Map() };
      this.#metrics.set(name, metric);
    }
    return metric;
  }

  #series(metric: Metric, labels: Labels): Series {
    const key = labelKey(labels);
    let series = metric.series.get(key);
    if (!series) {
      series = { labels, value: 0 };
      metric.series.set(key, series);
    }
    return series;
  }
}

/** Metrics that every process has, with upstream's names. */
export function processMetrics(registry: MetricsRegistry): void {
  const started = Date.now() / 1000 - process.uptime();
  registry.gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.').set(started);
  registry.gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', (set) =>
    set(process.memoryUsage.rss()),
  );
  registry.gauge('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', (set) => {
    const { user, system } = process.cpuUsage();
    set((user + system) / 1e6);
  });
}
