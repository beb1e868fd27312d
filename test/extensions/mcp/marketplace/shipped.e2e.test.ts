import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { server as contentManager } from '../../../../extensions/mcp/content-manager/index.ts';
import { server as marketplace } from '../../../../extensions/mcp/marketplace/index.ts';
import type { ToolContext } from '../../../../src/lib/shared/mcp/context.ts';
import { serverFindings } from '../../../../src/lib/shared/server-findings.ts';
import { type CliLoop, openCliLoop } from '../../../helpers/cli.ts';
import { type ConfigProject, configProject } from '../../../helpers/config-project.ts';
import { callTool, cliPortOf, extensionContext } from '../../../helpers/extension-tools.ts';

let project: ConfigProject;
let loop: CliLoop;
let context: ToolContext;
const ran: string[][] = [];

beforeAll(async () => {
  project = await configProject({
    'services/config/config.yaml':
      'skills:\n  # kept\n  guide_writing:\n    name: Guides\n    description: Use it for guides\n    instructions: Step by step\n',
  });
  loop = openCliLoop();
  context = extensionContext({ cli: cliPortOf(loop, project.path, ran) });
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

const call = (name: string, input: unknown) => callTool(marketplace, name, input, context);
const file = (name: string): Promise<string> => readFile(join(project.path, 'services/skills', name), 'utf8');

it('both are servers that clients can work with', () => {
  expect([serverFindings(marketplace), serverFindings(contentManager)]).toEqual([[], []]);
});

describe('marketplace', () => {
  it('creates, derives, changes and lists skills in the files of the project', async () => {
    const words = {
      name: 'Blog: writing',
      description: 'Use it when a post is wanted',
      content: '# Write\n\n--not a flag',
    };
    const created = await call('create_skill', { ...words, tags: ['blog', 'text'] });
    expect(created['data']).toMatchObject({ id: 'blog_writing', changed: true });
    expect(await file('blog_writing/index.md')).toBe('# Write\n\n--not a flag\n');
    expect(await file('blog_writing/config.yaml')).toContain('name: "Blog: writing"');
    await expect(call('create_skill', words)).rejects.toMatchObject({ code: 'CONFLICT' });

    await call('create_skill', { name: 'News', skill_id: 'announcement_writing', base_skill_id: 'blog_writing' });
    expect(await file('announcement_writing/index.md')).toBe(await file('blog_writing/index.md'));
    await expect(call('create_skill', { name: 'Empty one' })).rejects.toMatchObject({ code: 'USAGE' });

    await call('update_skill', { skill_id: 'announcement_writing', content: 'Shorter', enabled: false, tags: [] });
    expect(await file('announcement_writing/index.md')).toBe('Shorter\n');
    const inline = await call('update_skill', {
      skill_id: 'guide_writing',
      content: 'One. Two.',
      description: '--yes',
    });
    expect(inline['data']).toMatchObject({ changed: true });
    expect(await file('../config/config.yaml')).toMatch(
      /# kept[\s\S]*description: --yes\n[\s\S]*instructions: One\. Two\./,
    );
    await expect(call('update_skill', { skill_id: 'nope', enabled: true })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(call('update_skill', { skill_id: 'blog_writing' })).rejects.toMatchObject({ code: 'USAGE' });

    const { items } = await call('list_skills', {});
    expect(items).toMatchObject([
      { id: 'announcement_writing', enabled: false, tags: '' },
      { id: 'blog_writing', name: 'Blog: writing', enabled: true, tags: 'blog, text' },
      { id: 'guide_writing' },
    ]);
  });

  it('says what a model would stumble over in a skill', async () => {
    const content = `TODO\n\`\`\`\n{{ name }}\n${'The very same line of words, which is long enough.\n'.repeat(2)}`;
    await call('create_skill', { name: 'Poor', description: 'Short', content });
    const { data } = (await call('analyze_skill', { skill_id: 'poor' })) as { data: { findings: { rule: string }[] } };
    expect(data.findings.map(({ rule }) => rule)).toEqual([
      'no_tags',
      'short_description',
      'no_when',
      'open_code',
      'gap',
      'variables',
      'repeated',
    ]);
  });

  it('never takes or gives the value of a secret', async () => {
    const set = await call('manage_secrets', { action: 'set', var_name: 'GEMINI_API_KEY', server: 'content-manager' });
    expect(set).toMatchObject({
      type: 'copy_paste_text',
      content: 'systemprompt cloud secrets set GEMINI_API_KEY --server content-manager',
      data: { changed: false },
    });
    expect(await call('manage_secrets', { action: 'delete', var_name: 'A' })).toMatchObject({
      content: 'systemprompt cloud secrets unset A',
    });
    await expect(call('manage_secrets', { action: 'set', var_name: 'A', var_value: 'x' })).rejects.toThrow(/var_value/);
    await expect(call('manage_secrets', { action: 'set' })).rejects.toThrow(/var_name/);
    for (const answer of [await call('get_secrets', {}), await call('manage_secrets', { action: 'list' })])
      expect(answer).toMatchObject({ type: 'table', items: expect.any(Array) });
  });

  it('syncs by the command, and confirms only when it was told to', async () => {
    const answer = { type: 'table', columns: [], items: [], count: 0 } as const;
    const seen: string[][] = [];
    const cli = {
      manifest: () => Promise.reject(new Error('not asked for')),
      run: (words: readonly string[]) => {
        seen.push([...words]);
        return Promise.resolve({
          ok: true as const,
          exitCode: 0,
          artifact: { ...answer, columns: [], items: [] },
          lines: [],
        });
      },
    };
    await callTool(marketplace, 'sync_skills', { dry_run: true }, extensionContext({ cli }));
    await callTool(
      marketplace,
      'sync_skills',
      { direction: 'to-disk', strategy: 'merge', confirm: true },
      extensionContext({ cli }),
    );
    expect(seen.map((words) => words.slice(3, -2))).toEqual([
      ['--direction=to-db', '--dry-run'],
      ['--direction=to-disk', '--strategy=merge', '--yes'],
    ]);
  });
});

describe('content-manager', () => {
  const post = { skill_id: 'blog_writing', slug: 'a-post', description: 'What it says', instructions: 'Write' };
  const ask = (name: string, input: unknown, more: Partial<ToolContext> = {}) =>
    callTool(contentManager, name, input, extensionContext({ cli: context.cli, ...more }));

  it('names the skill that is missing, then the key, then that there is no provider yet', async () => {
    await expect(ask('research_blog', { topic: 'Caches' })).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('no skill research_blog'),
    });
    await expect(ask('create_blog_post', { ...post, skill_id: 'announcement_writing' })).rejects.toThrow(/not enabled/);
    await expect(ask('create_blog_post', post)).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('ANTHROPIC_API_KEY or OPENAI_API_KEY or GEMINI_API_KEY'),
      next: ['cloud secrets set ANTHROPIC_API_KEY --server test'],
    });
    const secrets = { get: (name: string) => (name === 'OPENAI_API_KEY' ? 'canary' : undefined), require: () => '' };
    const refused = ask('create_blog_post', post, { secrets });
    await expect(refused).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('OPENAI_API_KEY'),
    });
    await expect(refused).rejects.not.toThrow(/canary/);
  });

  it('gives the brief of a post and the text of a skill without any key', async () => {
    const [prompt] = contentManager.prompts ?? [];
    const input = await prompt?.input?.['~standard'].validate({ topic: 'Caches that lie', slug: 'caches' });
    const brief = await prompt?.handler((input as { value: unknown }).value, context);
    expect(brief).toMatch(/^# Write\n[\s\S]*Caches that lie[\s\S]*The slug is caches/);
    const [template] = contentManager.resourceTemplates ?? [];
    expect((await template?.list?.(context))?.map(({ uri }) => uri)).toContain('skill://blog_writing/instructions');
    expect(await template?.read({ id: 'blog_writing' }, context)).toContain('# Write');
    expect(await template?.read({ id: 'nope' }, context)).toBeUndefined();
    const before = ran.length;
    expect(await template?.read({ id: '--help' }, context)).toBeUndefined();
    expect(ran).toHaveLength(before);
  });
});
