import { expect, it } from 'vitest';
import { IssueLog } from '../../../../src/lib/app/oauth/machines/issue-log.ts';
import type { Queryable } from '../../../../src/lib/infra/database/connection.ts';
import type { SessionId, UserId } from '../../../../src/lib/shared/ids.ts';

it('what was written before the database went away is not written again', async () => {
  const statements: string[] = [];
  let away = true;
  const database: Queryable = {
    query: async (_sql, params) => {
      // The second portion meets a database that is away, once.
      if (statements.length === 1 && away) {
        away = false;
        throw new Error('away');
      }
      statements.push(JSON.stringify(params));
      return [];
    },
  };
  const log = new IssueLog(database);
  const ids = Array.from({ length: 250 }, (_, at) => `token-${at}.`);
  for (const [at, jti] of ids.entries()) {
    const data = { grant: 'client_credentials', scope: 'user' };
    const event = { userId: 'u' as UserId, clientId: `client-${at}`, sessionId: 's' as SessionId, resource: 'r', data };
    log.add({ ...event, address: undefined }, jti);
  }
  await expect(log.flush()).rejects.toThrow('away');
  await log.flush();
  const written = statements.join('\n');
  expect(ids.filter((jti) => written.split(jti).length !== 2)).toEqual([]);
});
