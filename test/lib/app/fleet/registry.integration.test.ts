import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fleetFacts } from '../../../../src/lib/app/fleet/facts.ts';
import { serverJson } from '../../../../src/lib/app/fleet/server-json.ts';
import { registryView } from '../../../../src/lib/app/router/registry-view.ts';
import { openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { withSession } from '../../../../src/lib/infra/database/session.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { serverConfig } from '../../../helpers/server-config.ts';

const installation = '00000000-0000-4000-8000-000000000001';
const run = '00000000-0000-4000-8000-00000000000a';
const digest = 'a'.repeat(64);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ migrated: true });
  await withSession(database.owner, {}, async (session) => {
    await session.query(
      `INSERT INTO services (installation_id, name, kind, desired, state, generation, instance_id, host, boot_id, pid, start_ticks, port, started_at, restarts,
         epoch, serving, health_reason, failures_in_row)
       VALUES ($1, 'mcp:alpha', 'mcp', 'running', 'ready', 1, $2, 'here', gen_random_uuid()::text, 4242, '1', 5001, now() - interval '90 s', 2, 1, false, 'busy', 3)`,
      [installation, run],
    );
    for (const [name, state, reason] of [
      ['read', 'approved', null],
      ['write', 'held', 'new'],
    ] as const) {
      const definition = JSON.stringify({ name, title: name.toUpperCase(), description: `To ${name}` });
      await session.query(
        'INSERT INTO mcp.tool_definitions (server, name, digest, definition, scanned_by) VALUES ($1, $2, $3, $4, 1)',
        ['alpha', name, digest, definition],
      );
      await session.query(
        `INSERT INTO mcp.tools (server, name, digest, definition, state, reason, approved_digest)
         VALUES ('alpha', $1, $2, $3, $4, $5, $6)`,
        [name, digest, definition, state, reason, state === 'approved' ? digest : null],
      );
    }
  });
});
afterAll(() => database.drop());

describe('the registry', () => {
  it('tells the whole fleet in one call, and of it to everybody no more than addresses', async () => {
    const pool = openDatabase(database.app, { actor: 'system' });
    const facts = await fleetFacts(pool, installation, { servers: [] }).finally(() => pool.close());
    const servers = [
      serverConfig({
        name: 'alpha',
        tools: new Map([['write', { scopes: ['alpha:write'], secret: new Set() }]]),
        env: { LEVEL: 'hidden-value' },
        variables: [{ name: 'TOKEN', secret: true, required: true, value: 'hidden-value' }],
        schemas: {
          mode: 'warn',
          tables: [{ table: 'note', requiredColumns: [], at: { file: 'a', line: 1, column: 1 } }],
        },
      }),
      serverConfig({ name: 'beta', kind: 'stdio', displayInWeb: false, devOnly: true }),
      serverConfig({
        name: 'team',
        kind: 'virtual',
        port: undefined,
        virtual: { targets: [{ server: 'alpha', prefix: '', tools: '*' }] },
      }),
      serverConfig({ name: 'off', enabled: false }),
    ];
    const directory = {
      endpoint: (name: string) =>
        name === 'mcp:alpha'
          ? { name, port: 5001, instanceId: run as never, state: 'ready' as const, serving: false }
          : undefined,
    };
    const source = { servers, externalUrl: 'https://mcp.example.com', directory, facts };

    const open = registryView({ ...source, circuitOf: () => 'open' }, false);
    expect(open.map(({ name, kind }) => `${name} ${kind}`)).toEqual(['alpha internal', 'team virtual']);
    expect(Object.keys(open[0] ?? {})).toEqual([
      'name',
      'display_name',
      'description',
      'kind',
      'endpoint',
      'oauth',
      'server_json',
    ]);

    const all = registryView({ ...source, latencies: new Map([['alpha', 1.5]]), circuitOf: () => 'open' }, true);
    expect(all.map(({ name }) => name)).toEqual(['alpha', 'beta', 'team']);
    expect(all[0]).toMatchObject({
      status: 'ready',
      pid: 4242,
      port: 5001,
      instance_id: run,
      uptime_s: expect.toSatisfy((seconds: number) => seconds >= 90 && seconds < 200),
      health: { serving: false, failures_in_a_row: 3, restarts: 2, latency_ms: 1.5, reason: 'busy' },
      tools: [
        { name: 'read', title: 'READ', description: 'To read', state: 'approved', scopes: [] },
        { name: 'write', state: 'held', scopes: ['alpha:write'] },
      ],
      circuit: 'open',
      tool_count: 2,
      held_tools: ['write'],
      schemas: { mode: 'warn', tables: ['note'] },
      variables: [
        { name: 'LEVEL', from: 'instance' },
        { name: 'TOKEN', secret: true, required: true },
      ],
    });
    expect(all[1]).toMatchObject({ status: 'stopped', dev_only: true });
    // A virtual server gets no requests of its own to fail.
    expect(all[2]).not.toHaveProperty('circuit');
    expect(all[2]).toMatchObject({ status: 'ready', targets: ['alpha'] });
    expect(JSON.stringify(all)).not.toContain('hidden-value');
  });

  it('has an entry of each in the form of the public registry', () => {
    const config = serverConfig({ name: 'alpha', description: 'x'.repeat(300) });
    expect(serverJson(config, 'https://mcp.example.com', '1.2.3')).toMatchObject({
      name: 'com.example.mcp/alpha',
      title: 'Alpha',
      description: `${'x'.repeat(99)}…`,
      version: '1.2.3',
      remotes: [
        { type: 'streamable-http', url: 'https://mcp.example.com/api/v1/mcp/alpha/mcp' },
        { type: 'sse', url: 'https://mcp.example.com/api/v1/mcp/alpha/sse' },
      ],
    });
    expect(serverJson(config, 'http://127.0.0.1:8080', '1.2.3').name).toBe('127.0.0.1/alpha');
  });
});
