import { constants, PerformanceObserver } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const everyMs = 100;

const gcKinds: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
]);

/**
 * What a process of Node.js says of itself. Not prom-client's own set: that one empties its measure of the event loop at
 * each scrape, so that two who scrape take it from each other, and a stall that falls on a scrape is lost.
 * @returns ends the measuring
 */
export function measureProcess(registry: Registry): () => void {
  const registers = [registry];
  cpu(registers);
  memory(registers);
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the process began, in seconds since 1970.',
    registers,
  }).set((Date.now() - process.uptime() * 1000) / 1000);
  const ends = [eventLoop(registers), garbageCollection(registers)];
  return () => {
    for (const end of ends) end();
  };
}

type Registers = Registry[];

function cpu(registers: Registers): void {
  const seen = { user: 0, system: 0 };
  for (const kind of ['user', 'system'] as const) {
    new Counter({
      name: `process_cpu_${kind}_seconds_total`,
      help: `Processor time of the process, ${kind}.`,
      registers,
      collect() {
        const micros = process.cpuUsage()[kind];
        this.inc(Math.max(0, micros - seen[kind]) / 1e6);
        seen[kind] = micros;
      },
    });
  }
}

function memory(registers: Registers): void {
  const gauges = [
    ['process_resident_memory_bytes', 'Resident memory of the process.', 'rss'],
    ['nodejs_heap_size_used_bytes', 'Memory that objects of JavaScript take.', 'heapUsed'],
    [
      'nodejs_external_memory_bytes',
      'Memory outside of that heap which its objects hold, buffers for one.',
      'external',
    ],
  ] as const;
  for (const [name, help, field] of gauges) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(field === 'rss' ? process.memoryUsage.rss() : process.memoryUsage()[field]);
      },
    });
  }
}

function eventLoop(registers: Registers): () => void {
  const delays = new Histogram({
    name: 'nodejs_eventloop_delay_seconds',
    help: 'How much later than due the event loop came round, looked at ten times a second.',
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    registers,
  });
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    delays.observe(Math.max(0, now - last - everyMs) / 1000);
    last = now;
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

function garbageCollection(registers: Registers): () => void {
  const pauses = new Histogram({
    name: 'nodejs_gc_duration_seconds',
    help: 'How long a garbage collection took, by kind.',
    labelNames: ['kind'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
    registers,
  });
  for (const kind of gcKinds.values()) pauses.zero({ kind });
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail } = entry as { readonly detail?: { readonly kind?: number } };
      const kind = gcKinds.get(detail?.kind ?? -1);
      if (kind !== undefined) pauses.observe({ kind }, entry.duration / 1000);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return () => observer.disconnect();
}
