import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scanTool } from '../../src/lib/domain/mcp/index.ts';

interface Share {
  found: number;
  all: number;
}

const folder = join(import.meta.dirname, '../../test/fixtures/injection');
const lines = (file: string): string[] =>
  readFileSync(join(folder, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
const isFound = (description: string): boolean =>
  scanTool({ name: 'a_tool', description, inputSchema: { type: 'object' } }).length > 0;

/** What the scan finds of the corpus. A family that begins with `*` is of the attacks that the rules were not written by. */
export function measureInjection() {
  const families = new Map<string, Share>();
  const heldOut: Share = { found: 0, all: 0 };
  const tuned: Share = { found: 0, all: 0 };
  const missed: string[] = [];
  for (const line of lines('positive.tsv')) {
    const [marked = '', written = ''] = line.split('\t');
    const family = marked.replace('*', '');
    // Escapes as in JSON, so that what can't be seen can be read here.
    const found = isFound(JSON.parse(`"${written.replaceAll('"', '\\"')}"`) as string);
    if (!found) missed.push(line);
    const share = families.get(family) ?? { found: 0, all: 0 };
    families.set(family, share);
    for (const counted of [share, marked.startsWith('*') ? heldOut : tuned]) {
      counted.all += 1;
      if (found) counted.found += 1;
    }
  }
  const texts = lines('benign.txt');
  const wrong = texts.filter(isFound);
  return { families, heldOut, tuned, benign: { found: wrong.length, all: texts.length }, missed, wrong };
}
