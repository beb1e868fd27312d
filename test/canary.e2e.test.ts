import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSecretStore } from '../src/lib/infra/config/secrets.ts';
import { adminConnection } from '../src/lib/infra/database/connections.ts';
import { type Session, withSession } from '../src/lib/infra/database/session.ts';
import { runCli } from './helpers/cli.ts';
import { type RunningSystem, startSystem } from './helpers/running-system.ts';

const extension = join(import.meta.dirname, 'fixtures/extensions/canary.mjs');

const value = (name: string): string => `canary${name}${randomBytes(12).toString('hex')}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const keyLines = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trimEnd().split('\n');

/** Where each secret enters the system. None of them may be found anywhere afterwards: see `allowed`. */
const canaries: Record<string, string> = {
  'argument that the configuration marks secret': value('argument'),
  'result of a tool': value('result'),
  'error that a tool throws': value('error'),
  'what the extension prints to stdout': value('stdout'),
  'what the extension prints to stderr': value('stderr'),
  'variable from the secret store': value('env'),
  'secret that was set, used and revealed': value('set'),
  'bearer token that is refused': value('bearer'),
  'header that nobody asked for': value('header'),
  'private key, printed line by line': keyLines[5] ?? '',
};
const canary = (name: string): string => canaries[name] as string;
const planted = value('planted');

interface Finding {
  readonly what: string;
  readonly where: string;
}

/**
 * Places that may hold a canary, and why. Results are kept without secrets, the token of a call only as a digest, and the
 * secret store (in the search as well) is encrypted; so there is none.
 */
const allowed: readonly { readonly what: string; readonly where: RegExp; readonly why: string }[] = [];

describe('secrets that pass through the system', () => {
  let system: RunningSystem;
  let token: string;
  let commandLines: CommandLines;
  beforeAll(async () => {
    system = await startSystem(async (instance) => {
      const secrets = await openSecretStore(instance);
      const variables: Record<string, string> = {
        CANARY_ENV: canary('variable from the secret store'),
        CANARY_STDOUT: canary('what the extension prints to stdout'),
        CANARY_STDERR: canary('what the extension prints to stderr'),
        CANARY_ERROR: canary('error that a tool throws'),
        CANARY_RESULT: canary('result of a tool'),
      };
      for (const [name, secret] of Object.entries(variables)) await secrets.set(`test.${name}`, secret);
      // This one nobody is told of: it has to be recognised.
      writeFileSync(join(instance.root, 'canary.pem'), keyLines.join('\n'));
      const env = Object.keys(variables).map((name) => `      ${name}: "\${secret:test.${name}}"`);
      commandLines = watchCommandLines();
      const set = await runCli(['cloud', 'secrets', 'set', 'CANARY_SET', '--server', 'canary'], {
        cwd: instance.root,
        input: canary('secret that was set, used and revealed'),
      });
      expect(set).toMatchObject({ code: 0, stderr: '' });
      mkdirSync(join(instance.root, 'services/mcp'), { recursive: true });
      writeFileSync(
        join(instance.root, 'services/mcp/canary.yaml'),
        `mcp_servers:
  canary:
    module: ${extension}
    port: 5871
    description: Leaks
    oauth: { scopes: [user] }
    tools: { leak: { secret: [note] } }
    variables: { CANARY_SET: { secret: true, required: true } }
    env:
${env.join('\n')}
`,
      );
    });
    token = await system.token('--server', 'canary');
  }, 120_000);
  afterAll(async () => {
    commandLines?.stop();
    await system?.[Symbol.asyncDispose]();
  });

  const call = async (how: string, bearer = token): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`${system.url}/api/v1/mcp/canary/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${bearer}`,
        'x-canary': canary('header that nobody asked for'),
        cookie: `session=${canary('header that nobody asked for')}`,
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: {
          name: 'leak',
          arguments: { note: canary('argument that the configuration marks secret'), how },
        },
      }),
    });
    return { status: answer.status, text: await answer.text() };
  };

  it('are used: the caller gets the result, and is told of errors without them', async () => {
    const returned = await call('return');
    expect(returned.status, returned.text).toBe(200);
    expect(returned.text).toContain(canary('result of a tool'));
    for (const how of ['throw', 'refuse']) {
      const failed = await call(how);
      expect(failed.text).toContain('"isError":true');
      expect(failed.text).not.toContain('canary');
    }
    expect((await call('return', canary('bearer token that is refused'))).status).toBe(401);
  });

  it('are shown to whoever asks for one by name, which is written down without it', async () => {
    const shown = await system.run('cloud', 'secrets', 'reveal', 'CANARY_SET', '--server', 'canary', '--yes');
    expect(shown).toMatchObject({
      code: 0,
      stdout: `${canary('secret that was set, used and revealed')}\n`,
      stderr: '',
    });
    const plain = createHash('sha256').update(shown.stdout.trim());
    canaries['plain digest of a secret'] = plain.digest('hex');
  });

  it.runIf(process.platform === 'linux')('are in the environment of the server that declares them alone', async () => {
    const { items } = await system.artifact<{ items: { name: string; pid: number }[] }>('infra', 'services', 'status');
    const holders = items.filter(({ pid }) =>
      readFileSync(`/proc/${pid}/environ`, 'latin1').includes(canary('secret that was set, used and revealed')),
    );
    expect(items.length).toBeGreaterThanOrEqual(3);
    expect(holders.map(({ name }) => name)).toEqual(['mcp:canary']);
  });

  it('are nowhere in the database, the files and the outputs', async () => {
    const logs = join(system.instance.logsDir, 'planted.log');
    writeFileSync(logs, `x${planted}x`);
    try {
      const outputs = await whatTheCliShows(system);
      const places = [...outputs, ...files(system.instance.dir), ...(await rows(system)), commandLines.seen()];
      const wanted = { ...canaries, 'token of the caller': token, planted };
      const found = search(places, wanted);
      // The search finds what is there: in a file and in a row.
      const seen = found.filter(({ what }) => what === 'planted').map(({ where }) => where);
      expect(seen).toEqual(['file logs/planted.log', 'table canary_planted']);
      const leaks = found.filter(
        ({ what, where }) =>
          what !== 'planted' && !allowed.some((rule) => rule.what === what && rule.where.test(where)),
      );
      expect(leaks).toEqual([]);
      // And it looked at what the canaries have passed.
      const text = (where: RegExp): string =>
        places
          .filter((place) => where.test(place.where))
          .map((place) => place.text)
          .join('\n');
      expect(text(/^file logs\/mcp:canary\//)).toContain('stdout [redacted]');
      expect(text(/^file logs\/mcp:canary\//)).toContain('thrown [redacted] over [redacted]');
      expect(text(/^file logs\/mcp:canary\//)).toMatch(/"stream":"stderr".*stderr \[redacted\]/);
      expect(text(/^file logs\/api\//)).toContain('"service":"api"');
      expect(text(/^table audit\./)).toContain('refused [redacted] over [redacted]');
      expect(text(/^output infra services logs/)).toContain('stdout [redacted]');
      expect(text(/^output admin audit show/)).toContain('[redacted]');
      expect(text(/^file logs\/mcp:canary\//)).toContain('starting with [redacted] and [redacted]');
      expect(text(/^file logs\/secrets\.log/)).toMatch(
        /"secret":"mcp\.canary\.CANARY_SET","version":1,"msg":"revealed"/,
      );
      expect(text(/^file secrets\.json/)).toContain('mcp.canary.CANARY_SET');
      expect(text(/^output cloud secrets list/)).toContain('mcp.canary.CANARY_SET');
      if (process.platform === 'linux') expect(text(/^command lines/)).toMatch(/cloud secrets reveal/);
    } finally {
      rmSync(logs);
    }
  });
});

interface CommandLines {
  /** Every command line that was seen. */
  seen(): Place;
  stop(): void;
}

/** Looks at the command lines of all processes again and again, those of short-lived ones as well. */
function watchCommandLines(): CommandLines {
  const seen = new Set<string>();
  const look = (): void => {
    for (const pid of process.platform === 'linux' ? readdirSync('/proc') : []) {
      if (!/^\d+$/.test(pid)) continue;
      try {
        seen.add(readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' '));
      } catch {
        // It has ended since.
      }
    }
  };
  const timer = setInterval(look, 20);
  return {
    seen: () => ({ where: 'command lines', text: [...seen].join('\n') }),
    stop: () => clearInterval(timer),
  };
}

interface Place {
  readonly where: string;
  readonly text: string;
}

function search(places: readonly Place[], wanted: Readonly<Record<string, string>>): Finding[] {
  return Object.entries(wanted).flatMap(([what, secret]) => {
    const bytes = Buffer.from(secret);
    const forms = [secret, bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, '').slice(0, -1)];
    return places.filter(({ text }) => forms.some((form) => text.includes(form))).map(({ where }) => ({ what, where }));
  });
}

/**
 * Every file of the instance, the encrypted store included. Not PostgreSQL's own files: its tables are searched row by row,
 * and it logs no statement's parameters.
 */
function files(dir: string): Place[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(join(dir, 'data')))
    .map((path) => ({ where: `file ${path.slice(dir.length + 1)}`, text: readFileSync(path, 'latin1') }));
}

/** Every row of every table that is not PostgreSQL's own, as text. */
async function rows({ instance }: RunningSystem): Promise<Place[]> {
  const { admin, database } = await adminConnection(instance, { database: {} }, await openSecretStore(instance));
  return withSession({ ...admin, database }, {}, async (session: Session) => {
    await session.query(`CREATE TABLE canary_planted AS SELECT '${planted}'::text AS note`);
    const tables = await session.query<{ name: string }>(
      `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1`,
    );
    const places: Place[] = [];
    for (const { name } of tables) {
      const found = await session.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
      places.push({ where: `table ${name}`, text: found.map(({ row }) => row).join('\n') });
    }
    await session.query('DROP TABLE canary_planted');
    expect(places.length).toBeGreaterThan(10);
    return places;
  });
}

async function whatTheCliShows(system: RunningSystem): Promise<Place[]> {
  const { items } = await system.artifact<{ items: { id?: string; execution_id?: string }[] }>(
    'admin',
    'audit',
    'list',
  );
  const ids = items.map((item) => String(item.execution_id ?? item.id));
  expect(ids.length).toBeGreaterThanOrEqual(3);
  const commands = [
    ['infra', 'services', 'status'],
    ['infra', 'services', 'logs', '--lines', '10000'],
    ['infra', 'services', 'logs', 'supervisor', '--lines', '10000'],
    ['admin', 'audit', 'list'],
    ['cloud', 'secrets', 'list'],
    ['admin', 'config', 'show'],
    ['admin', 'config', 'show', '--origin'],
    ['admin', 'config', 'list'],
    ['infra', 'services', 'reconcile', '--dry-run'],
    ['infra', 'logs', 'view'],
    ...ids.map((id) => ['admin', 'audit', 'show', id]),
  ];
  const places: Place[] = [];
  for (const command of commands) {
    for (const mode of [[], ['--json']]) {
      const { code, stdout, stderr } = await system.run(...command, ...mode);
      expect(code, stderr).toBe(0);
      places.push({ where: `output ${[...command, ...mode].join(' ')}`, text: stdout + stderr });
    }
  }
  return places;
}
