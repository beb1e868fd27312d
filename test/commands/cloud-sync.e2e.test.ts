import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../src/lib/infra/config/package-root.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';

interface Table {
  readonly title?: string;
  readonly items: readonly { readonly file: string; readonly step: string }[];
}
interface Envelope {
  readonly ok: boolean;
  readonly artifact: Table;
  readonly error: { readonly code: string; readonly hint: string; readonly next: readonly string[] };
}

let system: RunningSystem;
let file: string;

beforeAll(async () => {
  system = await startSystem(async ({ root, projectDir }) => {
    const own = 'services/mcp/systemprompt.yaml';
    await mkdir(join(root, 'services/mcp'), { recursive: true });
    await cp(join(packageRoot(), own), join(root, own));
    const profile = join(projectDir, 'profiles/local/profile.yaml');
    await writeFile(profile, `${await readFile(profile, 'utf8')}\nruntime: { apply_changes: manual }\n`);
  });
  file = join(system.instance.root, 'services/mcp/systemprompt.yaml');
});
afterAll(async () => {
  await system[Symbol.asyncDispose]();
});

const sync = async (...flags: string[]): Promise<{ readonly code: number; readonly envelope: Envelope }> => {
  const { code, stdout } = await system.run('cloud', 'sync', 'local', ...flags, '--json');
  return { code: code ?? -1, envelope: JSON.parse(stdout) as Envelope };
};

it('syncs from the command line: nothing by a dry run, nothing without a decision, nothing lost', async () => {
  const text = await readFile(file, 'utf8');
  const step = { file: 'mcp/systemprompt.yaml', step: 'to the database', reason: 'the files changed' };
  expect((await sync('mcp', '--direction', 'to-db', '--dry-run')).envelope.artifact).toMatchObject({
    title: 'To be synced',
    items: [step],
  });
  expect((await sync('mcp', '--direction', 'to-db')).envelope.artifact).toMatchObject({
    title: 'Synced',
    items: [step],
  });
  expect((await sync('all', '--direction', 'to-db')).envelope.artifact.items).toEqual([]);

  // What the database has and the files lack comes back, when somebody agrees.
  await writeFile(file, `${text}# mine\n`);
  await sync('mcp', '--direction', 'to-db');
  await writeFile(file, text);
  await sync('mcp', '--direction', 'to-db', '--strategy', 'ours');
  const versions = await system.artifact<{ items: readonly { version: number; state: string; written_by: string }[] }>(
    'cloud',
    'sync',
    'versions',
    'mcp/systemprompt.yaml',
  );
  expect(versions.items.map(({ version, state }) => `${version} ${state}`)).toEqual([
    '3 current',
    '2 replaced',
    '1 replaced',
  ]);
  expect(versions.items[0]?.written_by).not.toBe('');
  const second = await system.run('cloud', 'sync', 'versions', 'mcp/systemprompt.yaml', '--version', '2');
  expect(second.stdout.trimEnd()).toBe(`${text}# mine`);
});

it('says whose turn it is when nobody can be asked', async () => {
  const direction = await sync('mcp');
  expect(direction).toMatchObject({ code: 5, envelope: { error: { hint: expect.stringContaining('--direction') } } });
  expect((await sync('nothing', '--direction', 'to-db')).code).toBe(2);
  const unknown = await system.run('cloud', 'sync', 'versions', 'mcp/none.yaml');
  expect(unknown.code).toBe(3);
});
