import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Output } from '../../../src/entry/cli/output/output.ts';
import { type CliSession, openSession } from '../../../src/entry/cli/session.ts';
import type { Artifact } from '../../../src/lib/shared/artifact.ts';
import { type CliLoop, openCliLoop, packageRoot } from '../../helpers/cli.ts';
import { extensionProject } from '../../helpers/extension-project.ts';
import { type RunningSystem, startSystem } from '../../helpers/running-system.ts';
import { type Steady, shapeOf, steadied } from '../../helpers/steady.ts';
import { until } from '../../helpers/until.ts';
import { pictures, type Step, story } from './faces-story.ts';

/*
 * What commands print about a system that runs, after a story that is always the same: test/golden/faces-running. Each
 * is run once, with --json, by the built CLI; what differs from run to run is replaced in its artifact (steady.ts), and
 * the CLI's own output draws that for every face.
 * After a wanted change: UPDATE_GOLDEN=1 npx vitest run test/entry/cli/faces
 */

const golden = join(packageRoot, 'test/golden/faces-running');
const renew = process.env.UPDATE_GOLDEN === '1';

let system: RunningSystem;
let loop: CliLoop;
let steady: Steady;
const records = new Map<string, string[]>();
/** Steps that did not end as the story says. */
const surprises: string[] = [];
const env: Record<string, string> = {
  STORY_SECRET: 'b2f1-correct-horse',
  TERM: 'xterm',
  SYSTEMPROMPT_INVOKED_AS: 'systemprompt',
};

beforeAll(async () => {
  system = await startSystem(async ({ root, projectDir }) => {
    await mkdir(join(root, 'services'));
    await cp(join(packageRoot, 'services/mcp'), join(root, 'services/mcp'), { recursive: true });
    await writeFile(
      join(root, 'services/mcp/demo.yaml'),
      `mcp_servers:
  demo:
    module: ${join(packageRoot, 'test/fixtures/extensions/demo.mjs')}
    port: 5872
    description: Shows what tools can do.
    oauth: { scopes: [user] }
    tools:
      echo: { scopes: [demo:write] }
    hooks:
      - { type: ask, arguments: { kind: '^list$' } }
`,
    );
    await writeFile(join(root, 'limits.yaml'), 'rate_limits: { stream_per_second: 50 }\n');
    await writeFile(join(root, 'more.env'), 'REGION=eu\nMAIL_PASSWORD=correct-horse\n');
    const profile = join(projectDir, 'profiles/local/profile.yaml');
    await writeFile(profile, `${await readFile(profile, 'utf8')}\nruntime: { apply_changes: manual }\n`);
  });
  const { root, runtimeDir } = system.instance;
  const { version } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  env.HOME = join(root, 'home');
  await mkdir(join(root, 'workspace'));
  extensionProject({ root: join(root, 'workspace') });
  steady = steadied({
    [root]: '/home/ann/project',
    [runtimeDir]: '/run/systemprompt',
    [packageRoot]: '/package/',
    [new URL(system.url).port]: '8080',
    [version]: '1.2.3',
  });
  loop = openCliLoop();
  // What the first check of a service finds is part of its status.
  await until('every service was checked', async () => {
    const { items } = await system.artifact<{ items: { checks: number | null }[] }>('infra', 'services', 'status');
    return items.every(({ checks }) => (checks ?? 0) > 0);
  });
  for (const step of story) await told(step);
  for (const { command, line, artifact } of pictures) {
    const texts = faces.map((face) => `── ${line}  (${face.name})\n${drawn(artifact, line, face)}`);
    records.set(command, [...(records.get(command) ?? []), ...texts]);
  }
  // The whole story is in here, which is long for one hook.
}, 300_000);
afterAll(async () => {
  await loop?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

const wordsOf = (line: string): string[] => (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ''));

interface Envelope {
  readonly ok: boolean;
  readonly artifact?: Artifact;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string; readonly next: string[] };
}

const faces = [
  { name: '80 columns', tty: true, columns: 80, env: {} },
  { name: '120 columns', tty: true, columns: 120, env: {} },
  { name: 'NO_COLOR', tty: true, columns: 80, env: { NO_COLOR: '1' } },
  { name: 'JSON', tty: false, columns: 80, env: { SYSTEMPROMPT_OUTPUT_FORMAT: 'json' } },
] as const;

/** The text of an artifact as the CLI shows it in one face. */
function drawn(artifact: Artifact, line: string, face: (typeof faces)[number]): string {
  let text = '';
  const stream = { isTTY: face.tty, columns: face.columns, write: (chunk: string) => (text += chunk) };
  const session: CliSession = openSession({
    argv: wordsOf(line),
    env: { ...env, ...face.env },
    cwd: '/',
    script: undefined,
    stdin: { isTTY: face.tty },
    stdout: stream as never,
    stderr: stream as never,
  });
  new Output(session).result(artifact);
  return text.trimEnd().replaceAll('\u001B', '␛');
}

async function filled(line: string): Promise<string> {
  if (line.includes('{token}')) {
    const { items } = await system.artifact<{ items: { id: string }[] }>('admin', 'tokens', 'list');
    return line.replace('{token}', items[0]?.id ?? '');
  }
  if (line.includes('{approval}')) {
    const { items } = await system.artifact<{ items: { id: string }[] }>('plugins', 'mcp', 'approvals', 'list');
    return line.replace('{approval}', items[0]?.id ?? '');
  }
  const call = /\{(?:execution|table)\}/.exec(line)?.[0];
  if (call === undefined) return line;
  const { items } = await system.artifact<{ items: { execution_id: string; tool: string; status: string }[] }>(
    'admin',
    'audit',
    'list',
  );
  const wanted = items.find(({ tool, status }) => (call === '{table}' ? tool === 'any' : status !== 'success'));
  return line.replace(call, wanted?.execution_id ?? '');
}

/** The same in an order that does not depend on which of two was first. */
function ordered<A extends Artifact>(artifact: A): A {
  const sorted = <T>(items: readonly T[]): T[] =>
    items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (artifact.type === 'table') return { ...artifact, items: sorted(artifact.items) };
  if (artifact.type !== 'presentation_card') return artifact;
  const sections = artifact.sections.map((section) =>
    section.heading === 'Services around it'
      ? { ...section, content: sorted(section.content.split('\n')).join('\n') }
      : section,
  );
  const events = artifact.data?.['events'];
  return {
    ...artifact,
    sections,
    data: { ...artifact.data, ...(Array.isArray(events) && { events: sorted(events) }) },
  };
}

async function told({ command, line, code = 0, in: folder = '.', unordered, shape }: Step): Promise<void> {
  const full = await filled(line);
  const cwd = join(system.instance.root, folder);
  const ran = await loop.run({ argv: [...wordsOf(full), '--json'], cwd, env });
  if (ran.code !== code) surprises.push(`${full}: ${ran.code} ${ran.stdout} ${ran.stderr}`);
  const { artifact, error } = JSON.parse(ran.stdout.trimEnd().split('\n').at(-1) || '{}') as Envelope;
  const parts = records.get(command) ?? [];
  records.set(command, parts);
  const part = (face: string, text: string): void => {
    parts.push(`── ${steady.text(full)}  (${face}, exit code ${ran.code})\n${text}`);
  };
  if (shape === true) part('shape of the JSON', JSON.stringify(shapeOf(artifact), null, 2));
  else if (artifact !== undefined) {
    const same = steady.artifact(unordered === true ? ordered(steady.artifact(artifact)) : artifact);
    for (const face of faces) part(face.name, drawn(same, full, face));
  }
  if (error !== undefined) part('error', steady.text(JSON.stringify(error, null, 2)));
}

const commands = [...new Set([...story, ...pictures].map(({ command }) => command))];

it.each(commands)('%s looks as it is on record', async (command) => {
  const text = `${records.get(command)?.join('\n\n')}\n`;
  const file = join(golden, `${command.replaceAll(' ', '-')}.txt`);
  if (renew) {
    await mkdir(golden, { recursive: true });
    await writeFile(file, text);
  }
  expect(text).toBe(await readFile(file, 'utf8'));
});

it('each step ended as the story says, and no other record is kept', async () => {
  expect(surprises).toEqual([]);
  const files = commands.map((command) => `${command.replaceAll(' ', '-')}.txt`);
  expect((await readdir(golden)).sort()).toEqual(files.sort());
});
