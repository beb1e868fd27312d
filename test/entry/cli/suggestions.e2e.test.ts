import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveCommand } from '../../../src/entry/cli/resolve.ts';
import { type CliLoop, type CliRun, openCliLoop, packageRoot, runCli } from '../../helpers/cli.ts';
import { freePort } from '../../helpers/free-port.ts';
import { type RunningSystem, startSystem } from '../../helpers/running-system.ts';
import { suggestedInSources } from '../../helpers/suggestions.ts';

const manifest = JSON.parse(await readFile(join(packageRoot, 'oclif.manifest.json'), 'utf8')) as {
  commands: Record<string, { id: string; declaration: { effect: string } }>;
};
const ids = Object.keys(manifest.commands);
const names = ids.map((id) => id.replaceAll(':', ' '));
const forms = [...new Set(suggestedInSources(packageRoot, names).map(({ form }) => form))].sort();

let system: RunningSystem;
/** Runs what only looks, some milliseconds a line; what starts and stops things gets a process of its own, as a user's does. */
let loop: CliLoop;
let empty: string;
let port: number;
let executionId: string;
let approvalId: string;

/** A server with a scope of its own, which can be granted, and one that wants something of its users. */
const scoped = `mcp_servers:
  scoped:
    module: ${join(packageRoot, 'test/fixtures/extensions/demo.mjs')}
    port: 5872
    enabled: false
    description: Has a scope of its own.
    oauth: { scopes: [user, scoped:write] }
  wanting:
    type: external
    endpoint: https://wanting.example/mcp
    enabled: false
    description: Wants a key of each user.
    oauth: { scopes: [user] }
    upstream_auth: { type: key, per: user, secret: wanting.key }
`;

/** One command of the tool needs an approval. */
const asking = `settings:
  tool_hooks:
    - { type: ask, tools: systemprompt, arguments: { command: '^commands$' } }
`;

beforeAll(async () => {
  empty = await mkdtemp(join(tmpdir(), 'systemprompt-empty-'));
  loop = openCliLoop();
  system = await startSystem(async ({ root }) => {
    await mkdir(join(root, 'services'));
    await cp(join(packageRoot, 'services/mcp'), join(root, 'services/mcp'), { recursive: true });
    await writeFile(join(root, 'services/mcp/scoped.yaml'), scoped);
    await mkdir(join(root, 'services/config'));
    await writeFile(join(root, 'services/config/config.yaml'), asking);
  });
  port = await freePort();
  await system.run('plugins', 'mcp', 'call', 'systemprompt', 'systemprompt', '--arg', 'command=doctor');
  await system.run('plugins', 'mcp', 'call', 'systemprompt', 'systemprompt', '--arg', 'command=commands');
  const asked = await system.artifact<{ items: { id: string }[] }>('plugins', 'mcp', 'approvals', 'list');
  approvalId = asked.items[0]?.id ?? '';
  const calls = await system.artifact<{ items: { execution_id: string }[] }>('admin', 'audit', 'list');
  executionId = calls.items[0]?.execution_id ?? '';
  // Who you are is only told when you are somebody.
  await system.run('admin', 'session', 'login');
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await loop?.[Symbol.asyncDispose]();
  await rm(empty, { recursive: true, force: true });
});

/** Nobody listens there: it fails (exit code 6) before anybody is asked to sign in. */
const signInElsewhere = 'cloud auth login --url http://127.0.0.1:1';

/** What takes the place of what a suggestion fills in. A form that is not here fails, so that none goes untried. */
const filled: Readonly<Record<string, () => readonly string[]>> = {
  // Of every command: every-command.e2e.test.ts.
  '{} --help': () => ['plugins mcp call --help'],
  'admin audit show {}': () => [`admin audit show ${executionId}`],
  'cloud auth login --url {}': () => [signInElsewhere],
  // The value comes from standard input, unless a flag names another place.
  'cloud secrets set {}': () => ['cloud secrets set SUGGESTED --from-env SYSTEMPROMPT_INVOKED_AS'],
  'cloud secrets set {} --server {}': () => [
    'cloud secrets set SUGGESTED --server systemprompt --from-env SYSTEMPROMPT_INVOKED_AS',
  ],
  'admin access grant --user {} --server {} --scope {}': () => [
    'admin access grant --user owner --server scoped --scope scoped:write',
  ],
  'admin access check --user {} --server {}': () => ['admin access check --user owner --server systemprompt'],
  'admin users link {}': () => ['admin users link owner'],
  'admin clients show {}': () => ['admin clients show systemprompt-cli'],
  'admin users role {} --add {}': () => ['admin users role owner --add mcp'],
  'admin users unban {}': () => ['admin users unban owner'],
  'cloud secrets rotate {}': () => ['cloud secrets rotate database.mcp.systemprompt'],
  'cloud sync local {} --direction {} --dry-run': () => ['cloud sync local mcp --direction to-db --dry-run'],
  'commands {}': () => ['commands infra services', 'commands doctor'],
  'admin config set mcp_servers.{}.enabled true': () => ['admin config set mcp_servers.systemprompt.enabled true'],
  'cloud tenant create {} --type local': () => ['cloud tenant create extra --type local'],
  'cloud tenant delete {} --yes': () => ['cloud tenant delete extra --yes'],
  'cloud tenant show {}': () => ['cloud tenant show local'],
  'admin session login --server {} --token-only': () => ['admin session login --server systemprompt --token-only'],
  'infra logs audit {}': () => [`infra logs audit ${executionId}`],
  'infra logs search {}': () => ['infra logs search ready'],
  'cloud profile show {}': () => ['cloud profile show local'],
  'cloud profile use {}': () => ['cloud profile use local'],
  'infra services stop --profile {}': () => ['infra services stop --profile local'],
  'infra services logs{} --lines 50': () => ['infra services logs --lines 50', 'infra services logs api --lines 50'],
  'infra services start --port <number>': () => [`infra services start --port ${port}`],
  'infra services start --port {}': () => [`infra services start --port ${port}`],
  'infra services {} --all': () => ['start', 'stop', 'restart'].map((verb) => `infra services ${verb} --all`),
  'infra logs trace show {}': () => [`infra logs trace show ${executionId}`],
  'plugins mcp approvals approve {}': () => [`plugins mcp approvals approve ${approvalId}`],
  'plugins mcp approvals show {}': () => [`plugins mcp approvals show ${approvalId}`],
  'infra services logs mcp:{}': () => ['infra services logs mcp:systemprompt'],
  'plugins mcp logs {}': () => ['plugins mcp logs systemprompt'],
  'plugins mcp connect {}': () => ['plugins mcp connect wanting --from-env SYSTEMPROMPT_INVOKED_AS'],
  'plugins mcp show {}': () => ['plugins mcp show systemprompt'],
  'plugins mcp logs {} --lines 50': () => ['plugins mcp logs systemprompt --lines 50'],
  'plugins mcp tools {}': () => ['plugins mcp tools systemprompt'],
  'plugins mcp tools {} --diff': () => ['plugins mcp tools systemprompt --diff'],
};
/** Begins with a command's name and is no suggestion: a name on its own, in a table of the sources. */
const noSuggestions: readonly string[] = ['plugins mcp call', 'init'];
/** What starts at boot is decided by the rights and the service manager of the machine: install.e2e.test.ts. */
const aboutTheMachine = /^infra services (?:(?:un)?install|\{\} --user)(?! --help)/;
/** Only where the sources of systemprompt are, and it would build them under the other tests: build.e2e.test.ts. */
const aboutTheCheckout = /^build core$/;
/** A person has to sign in with a browser: auth.e2e.test.ts. */
const aboutAPerson = /^cloud auth login --url/;

function linesOf(form: string): readonly string[] {
  const elsewhere = [aboutTheMachine, aboutTheCheckout, aboutAPerson];
  if (noSuggestions.includes(form) || elsewhere.some((about) => about.test(form))) return [];
  const service = /^infra services [a-z]+ \{\}$/.test(form) ? [form.replace('{}', 'api')] : [form];
  const lines = filled[form]?.() ?? service;
  for (const line of lines) expect(line, `what is filled in? add it to "filled": ${form}`).not.toMatch(/[<{]/);
  return lines;
}

function effectOf(line: string): string {
  const found = resolveCommand(line.split(' '), ids);
  if (found.kind !== 'command') return 'read'; // help
  return manifest.commands[found.id]?.declaration.effect ?? 'unknown';
}

interface Envelope {
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string; readonly next: readonly string[] };
}
interface Ran extends CliRun {
  readonly envelope: Envelope;
}

/** Runs a line as it was printed, with `--json` behind it. */
async function run(line: string | readonly string[], cwd = system.instance.root): Promise<Ran> {
  const words = typeof line === 'string' ? line.split(' ') : line;
  const argv = [...words, '--json'];
  const own = { cwd, env: { SYSTEMPROMPT_INVOKED_AS: 'systemprompt' } };
  const alone = cwd !== empty && /^infra services (?:start|stop|restart|reconcile)/.test(words.join(' '));
  const ran = alone ? await runCli(argv, own) : await loop.run({ argv, ...own });
  const last = ran.stdout.trimEnd().split('\n').at(-1) ?? '';
  return { ...ran, envelope: JSON.parse(last) as Envelope };
}

/** A suggestion is never refused for how it is written, and answers like every command. */
async function works(line: string, cwd?: string): Promise<Ran> {
  const ran = await run(line, cwd);
  expect(ran.code, `${line}: ${ran.stdout}`).not.toBe(2);
  expect(ran.envelope.error?.code, line).not.toBe('USAGE');
  expect(ran.envelope.ok).toBe(ran.code === 0);
  return ran;
}

/** A line that fails; what it suggests. Its suggestions that only look are run at once. */
async function failing(line: string | readonly string[], cwd?: string): Promise<readonly string[]> {
  const { code, envelope } = await run(line, cwd);
  expect(code, String(line)).not.toBe(0);
  const next = (envelope.error?.next ?? []).map((suggestion) => suggestion.replace(/^systemprompt /, ''));
  for (const suggestion of next) {
    const known = forms.some((form) => patternOf(form).test(suggestion));
    expect(known || suggestion.endsWith(' --help'), `${suggestion} is in no source`).toBe(true);
    if (effectOf(suggestion) === 'read') await works(suggestion, cwd);
  }
  return next;
}

function patternOf(form: string): RegExp {
  const parts = form.replaceAll('<number>', '{}').split('{}');
  return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^$()|[\]\\]/g, '\\$&')).join('.*')}$`);
}

/** A line fails, one of its suggestions is followed, and then it succeeds. */
async function mends(line: string, with_: string): Promise<void> {
  expect(await failing(line), `${line} suggests ${with_}`).toContain(with_);
  expect(await works(with_), with_).toMatchObject({ code: 0 });
  expect(await run(line), `${line} after ${with_}`).toMatchObject({ code: 0 });
}

describe('what the sources suggest', () => {
  const reading = forms.filter((form) => !form.startsWith('infra services {}') && effectOf(form) === 'read');

  it('is found', () => {
    expect(forms.length).toBeGreaterThan(20);
    expect(forms).toContain('infra services start');
  });

  it.each(reading)('runs where there is no instance: %s', async (form) => {
    for (const line of linesOf(form)) await works(line, empty);
  });

  it.each(reading)('succeeds on a system that runs: %s', async (form) => {
    for (const line of linesOf(form)) expect(await works(line), line).toMatchObject({ code: 0 });
  });

  it('changes what it says it changes, one after the other', async () => {
    const writing = new Set(forms.filter((form) => !reading.includes(form)).flatMap(linesOf));
    // What ends things comes last; each is followed by a start.
    const order = (line: string): number => (line.includes(' stop') ? 2 : line.includes('--port') ? 1 : 0);
    for (const line of [...writing].sort((a, b) => order(a) - order(b))) {
      if (line.includes('--port')) await run('infra services stop');
      // What can't be undone asks first, and here nobody answers.
      const refused = line === signInElsewhere ? 6 : effectOf(line) === 'destructive' ? 5 : 0;
      expect([0, refused], line).toContain((await works(line)).code);
      if (order(line) > 0) {
        if (line.includes('--port')) await run('infra services stop');
        expect(await run('infra services start')).toMatchObject({ code: 0 });
      }
    }
  });
});

describe('what an error suggests', () => {
  it.each([
    ['infra services logs nope'],
    ['infra services restart nope'],
    ['infra services stop nope'],
    ['admin audit show 00000000-0000-7000-8000-000000000000'],
    ['admin audit list --cursor nonsense'],
    ['admin session login --server nope'],
    ['plugins mcp tools nope'],
    ['plugins mcp status nope'],
    ['plugins mcp call nope nope'],
    ['plugins mcp call systemprompt nope'],
    ['plugins mcp call systemprompt systemprompt --args {'],
    ['plugins mcp call systemprompt systemprompt --args []'],
    ['plugins mcp call systemprompt systemprompt --arg nonsense'],
    ['plugins mcp call systemprompt systemprompt --arg command=nope'],
    ['infra services statsu'],
    ['nope'],
  ])('can be run: %s', async (line) => {
    await failing(line);
  });

  it('makes a session where there is none', async () => {
    await run('admin session logout');
    await mends('admin session show', 'admin session login');
  });

  it.each([
    ['api', 'plugins mcp tools systemprompt'],
    ['database', 'admin audit list'],
  ])('starts again what was stopped: %s', async (service, line) => {
    expect(await run(`infra services stop ${service}`)).toMatchObject({ code: 0 });
    await mends(line, 'infra services start');
  });

  it('brings back a system that is down', async () => {
    const lines = ['infra db status', 'admin audit list', 'plugins mcp tools systemprompt'];
    await run('infra services stop');
    for (const line of lines) expect(await failing(line), line).toContain('infra services start');
    // Why it is down is what the logs are read for.
    expect(await run('infra services logs')).toMatchObject({ code: 0 });
    await mends('infra db status', 'infra services start');
    for (const line of lines) expect(await run(line), line).toMatchObject({ code: 0 });
  });

  it('starts, with a new supervisor too, what was stopped by name', async () => {
    await run('infra services stop api');
    await run('infra services stop');
    expect(await run('infra services start')).toMatchObject({ code: 0 });
    expect(await run('plugins mcp tools systemprompt')).toMatchObject({ code: 0 });
  });

  it('finds another port for the API when a stranger has its own', async () => {
    await run('infra services stop');
    const stranger = createServer().listen(Number(new URL(system.url).port), '127.0.0.1');
    await once(stranger, 'listening');
    try {
      const [suggestion = ''] = (await failing('infra services start')).filter((next) => next.includes('--port'));
      expect(suggestion).toMatch(/^infra services start --port \d+$/);
      expect(await works(suggestion)).toMatchObject({ code: 0 });
      expect(await run('plugins mcp tools systemprompt')).toMatchObject({ code: 0 });
    } finally {
      await run('infra services stop');
      await new Promise((resolve) => stranger.close(resolve));
      await run('infra services start');
    }
  });
});
