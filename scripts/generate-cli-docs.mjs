// Writes the tables of docs/cli.md that the program also shows as help topics, between the comments that name them. With
// --check it writes nothing and fails when the page is out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);

const { documentedTables } = await import('../src/entry/cli/help-topics.ts');

const path = join(root, 'docs/cli.md');
const before = readFileSync(path, 'utf8');
let text = before;
for (const [name, table] of Object.entries(documentedTables())) {
  const place = new RegExp(
    `(<!-- ${name}: written by scripts/generate-cli-docs.mjs -->\\n)[\\s\\S]*?(\\n<!-- end -->)`,
  );
  if (!place.test(text)) throw new Error(`docs/cli.md has no place for the table '${name}'`);
  text = text.replace(place, (_, begin, end) => `${begin}\n${table}\n${end}`);
}

if (text === before) {
  process.stderr.write('docs/cli.md unchanged\n');
} else if (process.argv.includes('--check')) {
  process.stderr.write('Out of date: docs/cli.md. Run: node scripts/generate-cli-docs.mjs\n');
  process.exitCode = 1;
} else {
  writeFileSync(path, text);
  process.stderr.write('docs/cli.md written\n');
}
