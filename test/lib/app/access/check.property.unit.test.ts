import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decide } from '../../../../src/lib/app/access/check.ts';
import { scopesOf } from '../../../../src/lib/app/access/entitlements.ts';
import { Cancellation } from '../../../../src/lib/app/executor/call.ts';
import { ExecutionError, Executor } from '../../../../src/lib/app/executor/executor.ts';
import type { Claims, Grant } from '../../../../src/lib/domain/auth/index.ts';
import type { McpServerConfig } from '../../../../src/lib/domain/mcp/index.ts';
import type { User } from '../../../../src/lib/domain/users/index.ts';
import { isPermission, permissions } from '../../../../src/lib/shared/permission.ts';

const tiers = fc.uniqueArray(fc.constantFrom(...permissions), { maxLength: 3 });
const names = ['notes:read', 'notes:write', 'notes:delete'] as const;
const named = fc.uniqueArray(fc.constantFrom(...names), { maxLength: 3 });
const required = fc.uniqueArray(fc.constantFrom(...permissions, ...names), { minLength: 1, maxLength: 4 });
const client = fc.constantFrom('cli', 'app', 'other');

const situation = fc.record({
  roles: tiers,
  granted: named,
  open: named,
  server: required,
  tool: fc.option(required, { nil: undefined }),
  called: fc.constantFrom('one', 'two', undefined),
  client: fc.option(client, { nil: undefined }),
  clients: fc.option(fc.uniqueArray(client, { minLength: 1 }), { nil: undefined }),
});

function serverOf({
  open,
  server,
  tool,
  clients,
}: { [K in 'open' | 'server']: readonly string[] } & {
  readonly tool: readonly string[] | undefined;
  readonly clients: readonly string[] | undefined;
}): McpServerConfig {
  return {
    name: 'notes',
    oauth: {
      required: true,
      scopes: server,
      details: new Map(open.map((name) => [name, { sensitive: false, open: true }])),
      ...(clients === undefined ? {} : { clients }),
    },
    tools: new Map(tool === undefined ? [] : [['one', { scopes: tool, secret: new Set<string>() }]]),
  } as unknown as McpServerConfig;
}

it('admin access check decides as the executor does, and what it says is why', async () => {
  await fc.assert(
    fc.asyncProperty(situation, async (one) => {
      const server = serverOf(one);
      const resource = {
        name: 'notes',
        scopes: [...new Set([...one.server, ...(one.tool ?? [])])].map((name) => ({ name })),
        openScopes: one.open,
      };
      const scopes = scopesOf({ roles: one.roles, granted: one.granted }, resource);
      const user = { id: 'u', name: 'ada', status: 'active', roles: one.roles } as unknown as User;
      const grants = one.granted.map((scope) => ({
        id: scope,
        scope,
        server: 'notes',
        subject: { type: 'user', id: 'u' },
      })) as never as Grant[];
      const configuration = { tree: {}, originOf: () => undefined };
      const permitted = { active: true, scopes, accessVersion: 1 };
      const decision = decide({ user, server, tool: one.called, client: one.client, permitted, grants, configuration });

      // The same caller, with a token that holds all that it may, calls.
      let recorded: string | undefined;
      const note = (row: { readonly decision: string }) => {
        recorded = row.decision;
      };
      const executor = new Executor({
        audit: {
          intent: async (row) => note(row),
          attempt: async (row) => note(row),
          outcome: async () => {},
        },
        callTimeoutMs: 1000,
      });
      const claims = {
        sub: 'u',
        name: 'ada',
        sid: 's',
        scopes: [...scopes],
        client: one.client ?? one.clients?.[0] ?? 'any',
      } as unknown as Claims;
      const call = {
        server,
        tool: one.called ?? '',
        input: {},
        claims,
        arrivedAt: 0,
        cancellation: new Cancellation(),
      };
      const answer = { status: 'success' as const, payload: Buffer.alloc(0) };
      await executor
        .execute(call, () => ({ answer: Promise.resolve(answer), abort: () => {} }))
        .catch((error: unknown) => {
          expect(error).toBeInstanceOf(ExecutionError);
        });
      expect(decision.allowed ? 'allowed' : 'refused').toBe(recorded);

      // Each scope is held for a reason or missing with a remedy, never both; all held and the right client is allowed.
      for (const scope of decision.scopes) {
        expect(scope.held).toBe(scope.sources.length > 0);
        expect(scope.held).toBe(scope.remedy === undefined);
      }
      const all = decision.scopes.every(({ held }) => held);
      const theirs = one.clients === undefined || one.client === undefined || one.clients.includes(one.client);
      expect(decision.allowed).toBe(all && theirs);
      if (!decision.allowed) expect(decision.reason).toBe(all ? 'client' : 'scope');
    }),
    { numRuns: 500 },
  );
});

it('its remedies are enough: who gets all of them may call', () => {
  fc.assert(
    fc.property(situation, (one) => {
      const server = serverOf({ ...one, clients: undefined });
      const resource = {
        name: 'notes',
        scopes: names.map((name) => ({ name })),
        openScopes: one.open,
      };
      const ask = (roles: readonly string[], granted: readonly string[]) => {
        const standing = { roles: roles.filter(isPermission), granted };
        const user = { id: 'u', name: 'ada', status: 'active', roles: standing.roles } as unknown as User;
        const permitted = { active: true, scopes: scopesOf(standing, resource), accessVersion: 1 };
        const configuration = { tree: {}, originOf: () => undefined };
        return decide({ user, server, tool: one.called, permitted, grants: [], configuration });
      };
      const remedies = ask(one.roles, one.granted).scopes.flatMap(({ remedy }) => remedy?.split(' ') ?? []);
      const after = (word: string) => remedies.filter((_, at) => remedies[at - 1] === word);
      const decision = ask([...one.roles, ...after('--add')], [...one.granted, ...after('--scope')]);
      expect(decision.allowed).toBe(true);
    }),
  );
});
