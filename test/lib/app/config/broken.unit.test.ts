import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadServices } from '../../../../src/lib/app/config/load-services.ts';
import { loadProfile } from '../../../../src/lib/infra/config/profile.ts';
import { displayPath } from '../../../../src/lib/infra/config/yaml-source.ts';
import { ConfigInvalidError, type ConfigIssue } from '../../../../src/lib/shared/errors.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

// Each folder of test/fixtures/config/broken is a project whose configuration is broken: `services/`, or `profile.yaml`
// (and `links.txt`: symbolic links, `link -> target`). `expected.txt` has a line for each finding,
// `file:line:column message`. UPDATE_GOLDEN=1 writes what is found: read it.

const corpus = join(import.meta.dirname, '../../../fixtures/config/broken');
const names = readdirSync(corpus).sort();
const ports = { mcp: [5000, 5999] as [number, number], agents: [9000, 9999] as [number, number] };

/** The findings about a folder of the corpus, with paths from that folder on. */
async function findingsOf(original: string): Promise<readonly ConfigIssue[]> {
  await using temporary = await temporaryFolder();
  const links = join(original, 'links.txt');
  // Links that lead astray are made in a copy: tools that walk the repository follow them.
  const folder = existsSync(links) ? join(temporary.path, 'project') : original;
  if (existsSync(links)) {
    await cp(original, folder, { recursive: true });
    for (const line of readFileSync(links, 'utf8').trim().split('\n')) {
      const [link = '', target = ''] = line.split(' -> ');
      await mkdir(dirname(join(folder, link)), { recursive: true });
      await symlink(target, join(folder, link));
    }
  }
  const profile = join(folder, 'profile.yaml');
  if (existsSync(profile)) {
    await mkdir(join(temporary.path, 'profiles/local'), { recursive: true });
    await cp(profile, join(temporary.path, 'profiles/local/profile.yaml'));
  }
  const work = existsSync(profile)
    ? loadProfile({ projectDir: temporary.path }, 'local', {})
    : loadServices({ servicesDir: join(folder, 'services') }, { profile: { ports } });
  const error: unknown = await work.then(
    () => new Error('nothing was found'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConfigInvalidError)) throw error;
  const here = (text: string) =>
    text.replaceAll(`${join(temporary.path, 'profiles/local')}/`, '').replaceAll(`${displayPath(folder)}/`, '');
  return error.issues.map((issue) => ({ ...issue, file: here(issue.file), message: here(issue.message) }));
}

describe('the corpus of broken configurations', () => {
  it('is large', () => {
    expect(names.length).toBeGreaterThanOrEqual(150);
  });

  it.each(names)('%s', async (name) => {
    const folder = join(corpus, name);
    const golden = join(folder, 'expected.txt');
    const started = performance.now();
    const usage = process.cpuUsage();
    const issues = await findingsOf(folder);
    const { user, system } = process.cpuUsage(usage);
    // On a busy machine the time of the processor is what it took.
    expect(Math.min(performance.now() - started, (user + system) / 1000)).toBeLessThan(1000);

    const lines = issues.map(({ file, line, column, message }) => `${file}:${line}:${column} ${message}\n`).join('');
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, lines);
    expect(lines).toBe(readFileSync(golden, 'utf8'));
    for (const issue of issues) {
      expect(issue.hint, `${issue.message} has a hint`).toMatch(/\S/);
      expect(issue.line).toBeGreaterThanOrEqual(1);
      expect(issue.column).toBeGreaterThanOrEqual(1);
    }
  });
});
