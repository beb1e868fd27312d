import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import pino from 'pino';
import { openPeople, type People } from '../../src/lib/app/people/open.ts';
import { profileFileSchema } from '../../src/lib/infra/config/profile-schema.ts';
import type { UserId } from '../../src/lib/shared/ids.ts';
import { externalUrl, openTestIdentity, type TestIdentity } from './identity.ts';

export interface TestPeople {
  readonly test: TestIdentity;
  readonly people: People;
  /** Where mails lie when there is no mail server. */
  readonly outbox: string;
  /** Everything that was logged. */
  log(): string;
  /** Adds a user. */
  user(name: string, email?: string): Promise<UserId>;
  /** Identity events of a type, oldest first. */
  events(type: string): Promise<{ readonly user_id: UserId | null; readonly data: Record<string, unknown> }[]>;
  close(): Promise<void>;
}

/**
 * The people's side of an instance on a database of its own.
 * @param profile `mail`, `security` and `runtime` as they are written in profile.yaml
 */
export async function openTestPeople(
  profile: object = {},
  options: { readonly url?: string; readonly secrets?: Readonly<Record<string, string>> } = {},
): Promise<TestPeople> {
  const test = await openTestIdentity();
  const dir = await mkdtemp(join(tmpdir(), 'sp-people-'));
  const lines: string[] = [];
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  const file = profileFileSchema.parse(profile);
  const people = await openPeople({
    database: test.database,
    instance: { dir },
    profile: {
      ...file,
      server: { ...file.server, external_url: options.url ?? externalUrl, host: 'localhost', https: {} },
      security: { ...file.security, issuer: options.url ?? externalUrl },
      runtime: { ...file.runtime, environment: file.runtime.environment ?? 'development' },
    },
    secrets: { require: async (name) => options.secrets?.[name] ?? Promise.reject(new Error(`no secret ${name}`)) },
    log: pino({ level: 'trace' }, sink),
  });
  return {
    test,
    people,
    outbox: join(dir, 'outbox'),
    log: () => lines.join(''),
    user: async (name, email) => {
      const [row] = await test.owner.query<{ id: UserId }>(
        "INSERT INTO users (name, email, display_name, roles) VALUES ($1, $2, $1, '{user}') RETURNING id",
        [name, email ?? null],
      );
      return row?.id as UserId;
    },
    events: (type) => test.owner.query('SELECT user_id, data FROM identity_events WHERE type = $1 ORDER BY id', [type]),
    close: async () => {
      await people.close();
      await test.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
