/** One sample of a scrape. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Scrape {
  /** By name of the family. */
  readonly families: ReadonlyMap<string, { readonly type: string; readonly help: string; readonly samples: Sample[] }>;
  /** The samples of a name whose labels include the given ones. */
  find(name: string, labels?: Readonly<Record<string, string>>): Sample[];
  /** Their sum; 0 when there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|\+Inf|NaN)$/i;
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;

/**
 * Reads the text format 0.0.4 more strictly than Prometheus does (prometheus.io/docs/instrumenting/exposition_formats):
 * HELP and TYPE before the samples, each family once and in one piece, no series twice, counters that are not negative,
 * histograms whose buckets grow, end in +Inf and agree with their count.
 * @throws Error with the line that breaks a rule
 */
export function parseScrape(text: string): Scrape {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const reader = new Reader();
  for (const line of text.slice(0, -1).split('\n')) {
    try {
      if (line !== '') reader.read(line);
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${line}`, { cause: error });
    }
  }
  const { families } = reader;
  for (const [name, { type, samples }] of families) if (type === 'histogram') checkHistogram(name, samples);
  const find: Scrape['find'] = (name, labels = {}) =>
    [...families.values()]
      .flatMap(({ samples }) => samples)
      .filter((sample) => sample.name === name)
      .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
  return { families, find, sum: (name, labels) => find(name, labels).reduce((sum, { value }) => sum + value, 0) };
}

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

class Reader {
  readonly families = new Map<string, Family>();
  readonly #series = new Set<string>();
  #help: { name: string; text: string } | undefined;
  #current: Family | undefined;

  read(line: string): void {
    const [hash, word = '', name = '', ...rest] = line.split(' ');
    if (hash === '#') this.#comment(word, name, rest.join(' '));
    else this.#sample(line);
  }

  #comment(word: string, name: string, rest: string): void {
    if (!metricName.test(name)) throw new Error('no name');
    if (this.families.has(name)) throw new Error('a family twice');
    if (word === 'HELP') {
      this.#help = { name, text: rest };
      return;
    }
    if (word !== 'TYPE' || this.#help?.name !== name) throw new Error('no TYPE after its HELP');
    if (!['counter', 'gauge', 'histogram'].includes(rest)) throw new Error('unknown type');
    if (rest === 'counter' && !name.endsWith('_total')) throw new Error('a counter that does not say so');
    this.#current = { name, type: rest, help: this.#help.text, samples: [] };
    this.families.set(name, this.#current);
  }

  #sample(line: string): void {
    const family = this.#current;
    const parts = sampleLine.exec(line);
    if (parts === null) throw new Error('no sample');
    const [, name = '', labelText = '', text = ''] = parts;
    const suffixes = family?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    if (family === undefined || !suffixes.some((suffix) => name === `${family.name}${suffix}`)) {
      throw new Error('a sample outside of its family');
    }
    const labels = parseLabels(labelText);
    const series = `${name}${JSON.stringify(Object.entries(labels).sort())}`;
    if (this.#series.has(series)) throw new Error('a series twice');
    this.#series.add(series);
    const value = text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text);
    if (family.type === 'counter' && !(value >= 0)) throw new Error('a counter below zero');
    family.samples.push({ name, labels, value });
  }
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  labelPair.lastIndex = 0;
  while (labelPair.lastIndex < text.length) {
    const pair = labelPair.exec(text);
    if (pair === null) throw new Error('broken labels');
    const [, name = '', value = ''] = pair;
    if (name in labels) throw new Error('a label twice');
    labels[name] = value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
  }
  return labels;
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const byLabels = new Map<string, { buckets: Sample[]; count?: number; sum?: number }>();
  for (const { name: sampleName, labels, value } of samples) {
    const { le, ...others } = labels;
    const key = JSON.stringify(Object.entries(others).sort());
    const histogram = byLabels.get(key) ?? { buckets: [] };
    byLabels.set(key, histogram);
    if (sampleName === `${name}_bucket`) {
      if (le === undefined) throw new Error(`a bucket without le: ${name}`);
      histogram.buckets.push({ name, labels, value });
    } else if (sampleName === `${name}_count`) histogram.count = value;
    else histogram.sum = value;
  }
  for (const [key, { buckets, count, sum }] of byLabels) {
    const bounds = buckets.map(({ labels }) =>
      labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le']),
    );
    const ascending = (values: readonly number[]) =>
      values.every((value, at) => at === 0 || value >= (values[at - 1] ?? 0));
    if (!ascending(bounds) || bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`buckets of ${name}${key}`);
    if (!ascending(buckets.map(({ value }) => value))) throw new Error(`buckets of ${name}${key} do not grow`);
    if (count === undefined || sum === undefined || buckets.at(-1)?.value !== count)
      throw new Error(`count of ${name}${key}`);
  }
}
