import { describe, expect, it } from 'vitest';
import { ordinaryScopes, resourceServers } from '../../../src/lib/app/resources.ts';
import { mcpServersSchema, toServerConfig } from '../../../src/lib/domain/mcp/index.ts';

const settings = { externalUrl: 'https://it.example', maxTtlSeconds: 3600 };

/** The registry of one server, `notes`, whose `oauth` and `tools` are as they would be written. */
function notes(oauth: object, tools: object = {}, enabled = true) {
  const yaml = mcpServersSchema.parse({ notes: { module: 'm', port: 5001, description: 'd', enabled, oauth, tools } });
  if (yaml['notes'] === undefined) throw new Error('There is no such server');
  const place = { file: 'f', line: 1, column: 1 };
  const servers = [toServerConfig('notes', yaml['notes'], place, () => place)];
  return resourceServers(servers, settings);
}

describe('resource servers', () => {
  it('are the instance and each enabled server, by exactly one address', () => {
    const servers = notes({ scopes: ['user'] });
    expect(servers.all().map(({ audience }) => audience)).toEqual([
      'https://it.example/api/v1',
      'https://it.example/api/v1/mcp/notes/mcp',
    ]);
    expect(servers.byAudience('https://it.example/api/v1/mcp/notes/mcp')?.name).toBe('notes');
    expect(servers.byAudience('https://it.example/api/v1/mcp/notes/mcp/')).toBeUndefined();
    expect(servers.byName('instance')?.kind).toBe('instance');
    expect(servers.byName('other')).toBeUndefined();
    expect(notes({ scopes: ['user'] }, {}, false).all()).toHaveLength(1);
  });

  it('give what is ordinary unasked, and what is sensitive only when it is asked for', () => {
    const server = notes(
      { scopes: ['user', { name: 'notes:read', description: 'Read your notes', open: true }] },
      {
        wipe: { scopes: [{ name: 'notes:wipe', description: 'Delete all', sensitive: true }] },
        add: { scopes: ['notes:write'] },
      },
    ).byName('notes');
    expect(server?.defaultScopes).toEqual(['user', 'notes:read', 'notes:write']);
    expect(server && ordinaryScopes(server)).toEqual(['user', 'notes:read', 'notes:write']);
    expect(server?.openScopes).toEqual(['notes:read']);
    expect(server?.scopes.map(({ name, sensitive }) => `${name}${sensitive ? '!' : ''}`)).toEqual([
      'user',
      'notes:read',
      'notes:wipe!',
      'notes:write',
      'admin!',
    ]);
    expect(server?.scopes[1]?.description).toBe('Read your notes');
  });

  it('have what the file says of keys, lives, clients and issuers', () => {
    const server = notes({
      scopes: ['mcp'],
      default_scopes: ['mcp'],
      token_ttl_seconds: 7200,
      own_key: true,
      dpop: 'required',
      clients: ['a', 'b'],
      issuers: [
        { issuer: 'https://ci.example', service_account: 'ci', claims: { sub: 'repo:a' }, scopes: ['service'] },
      ],
    }).byName('notes');
    // No longer than the profile allows.
    expect(server).toMatchObject({ tokenTtlSeconds: 3600, ownKey: true, requireDpop: true, clients: ['a', 'b'] });
    expect(server?.issuers).toEqual([
      {
        issuer: 'https://ci.example',
        audience: 'https://it.example/api/v1/mcp/notes/mcp',
        privateNetwork: false,
        algorithms: ['ES256', 'RS256'],
        serviceAccount: 'ci',
        subjectClaim: 'sub',
        claims: new Map([['sub', ['repo:a']]]),
        scopes: ['service'],
      },
    ]);
  });

  it('that are virtual have what their targets ask for as well, of the tools that were chosen', () => {
    const yaml = mcpServersSchema.parse({
      files: {
        module: 'm',
        port: 5001,
        description: 'd',
        oauth: { scopes: ['user', { name: 'files:see', open: true }], dpop: 'required', token_ttl_seconds: 300 },
        tools: {
          read: { scopes: ['files:read'] },
          wipe: { scopes: [{ name: 'files:wipe', sensitive: true }] },
          other: { scopes: ['files:other'] },
        },
      },
      notes: {
        module: 'm',
        port: 5002,
        description: 'd',
        oauth: { scopes: ['files:see'] },
        tools: { add: { scopes: ['notes:write'] } },
      },
      team: {
        type: 'virtual',
        description: 'd',
        oauth: { scopes: [{ name: 'team:use', open: true }] },
        targets: [{ server: 'files', tools: ['read', { tool: 'wipe', as: 'w' }] }, { server: 'notes' }],
      },
    });
    const place = { file: 'f', line: 1, column: 1 };
    const servers = Object.entries(yaml).map(([name, one]) => toServerConfig(name, one, place, () => place));
    const team = resourceServers(servers, settings).byName('team');
    expect(team && ordinaryScopes(team)).toEqual(['team:use', 'user', 'files:see', 'files:read', 'notes:write']);
    expect(team?.scopes.filter(({ sensitive }) => sensitive).map(({ name }) => name)).toEqual(['files:wipe', 'admin']);
    // Open at files alone: at notes it takes a grant.
    expect(team?.openScopes).toEqual(['team:use']);
    expect(team).toMatchObject({ requireDpop: true, tokenTtlSeconds: 300 });
    expect(team?.askedBy?.map(({ name, scopes }) => `${name}: ${scopes.join(' ')}`)).toEqual([
      'team: team:use',
      'files: user files:see files:read files:wipe',
      'notes: files:see notes:write',
    ]);
  });
});
