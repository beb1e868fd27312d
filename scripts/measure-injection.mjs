// Measures the scan for injected instructions on the corpus in test/fixtures/injection, and prints what it found and what it
// missed: recall of the attacks, those apart that the rules were not written by, and false positives.
//
//   node scripts/measure-injection.mjs [--misses]
import { ensureProjectNode } from './lib/project.mjs';

ensureProjectNode(import.meta.url);
const { measureInjection } = await import('./lib/measure-injection.ts');

const percent = (part, all) => `${((100 * part) / all).toFixed(1)} % (${part} of ${all})`;
const { families, heldOut, tuned, benign, missed, wrong } = measureInjection();
for (const [family, { found, all }] of families) process.stdout.write(`${family.padEnd(14)} ${percent(found, all)}\n`);
process.stdout.write(`\nrecall, attacks that the rules were written by: ${percent(tuned.found, tuned.all)}\n`);
process.stdout.write(`recall, attacks held out: ${percent(heldOut.found, heldOut.all)}\n`);
process.stdout.write(`false positives: ${percent(benign.found, benign.all)}\n`);
if (process.argv.includes('--misses')) {
  for (const text of missed) process.stdout.write(`missed: ${text}\n`);
  for (const text of wrong) process.stdout.write(`false: ${text}\n`);
}
