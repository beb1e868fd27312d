import { createHash, randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PreconditionError } from '../../shared/errors.ts';
import { readJson, writeFileAtomic } from './atomic-file.ts';
import { withFileLock } from './file-lock.ts';
import { Keychain } from './keychain.ts';
import { assertPrivate } from './permissions.ts';
import { userSettingsFolder } from './user-settings.ts';

const tokensSchema = z.strictObject({ access: z.string().min(1), refresh: z.string().min(1).optional() });

const signInSchema = z.strictObject({
  /** Of the authorization server. */
  issuer: z.url(),
  /** What the tokens open. */
  resource: z.url(),
  client: z.string(),
  user: z.string(),
  userId: z.string(),
  scopes: z.array(z.string()),
  session: z.string(),
  by: z.enum(['browser', 'device']),
  /** ISO 8601, UTC. */
  signedInAt: z.iso.datetime(),
  /** Of the access token, ISO 8601, UTC. */
  expiresAt: z.iso.datetime(),
  kept: z.discriminatedUnion('in', [
    z.strictObject({ in: z.literal('keychain'), account: z.string().min(1) }),
    z.strictObject({ in: z.literal('file'), tokens: tokensSchema }),
  ]),
});

const fileSchema = z.strictObject({
  version: z.literal(1),
  /** By origin of the instance. */
  sign_ins: z.record(z.string(), signInSchema),
});

export type InstanceTokens = z.infer<typeof tokensSchema>;
type Stored = z.infer<typeof signInSchema>;
/** A sign-in to an instance, wherever that is. */
export type InstanceSignIn = Omit<Stored, 'kept'> & { readonly kept: 'keychain' | 'file' };
/** What is to be kept, with the tokens. */
export type NewSignIn = Omit<Stored, 'kept'> & { readonly tokens: InstanceTokens };

/** Longer than a refresh takes: another command may be at one. */
const lockWaitMs = 45_000;
/** A key chain that asks for its password at a screen where nobody sits is not waited for as long as for a person. */
const keychainTimeoutMs = 20_000;

/**
 * The sign-ins to instances of this user, beside the user's settings. Tokens are in the key chain of the operating system
 * where there is one that takes them, else in the file, which nobody else may read.
 */
export class SignInStore {
  readonly #env: NodeJS.ProcessEnv;
  readonly #folder: string;
  readonly #keychain: Keychain | undefined;

  /** @param platform of the key chain */
  constructor(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform) {
    this.#env = env;
    this.#folder = userSettingsFolder(env);
    const there = platform === 'darwin' || (env['DBUS_SESSION_BUS_ADDRESS'] ?? '') !== '';
    const hint = 'Unlock it, or sign in again.';
    const about = { env, platform, label: 'systemprompt sign-in', hint, timeoutMs: keychainTimeoutMs };
    this.#keychain = there ? new Keychain(about) : undefined;
  }

  get file(): string {
    return join(this.#folder, 'sign-ins.json');
  }

  /** By origin. @throws PreconditionError when the file is damaged, another user's or open to others */
  async list(): Promise<Map<string, InstanceSignIn>> {
    return new Map(
      [...(await this.#read())].map(([origin, { kept, ...facts }]) => [origin, { ...facts, kept: kept.in }]),
    );
  }

  /** The sign-in to one instance, with its tokens. @throws PreconditionError, also when the key chain does not give them */
  async find(origin: string): Promise<(InstanceSignIn & { readonly tokens: InstanceTokens }) | undefined> {
    const found = (await this.#read()).get(origin);
    if (found === undefined) return undefined;
    const { kept, ...facts } = found;
    if (kept.in === 'file') return { ...facts, kept: 'file', tokens: kept.tokens };
    const text = await this.#required(origin).read(kept.account);
    const tokens = tokensSchema.safeParse(text === undefined ? undefined : decoded(text));
    if (tokens.success) return { ...facts, kept: 'keychain', tokens: tokens.data };
    throw new PreconditionError(`The key chain has no tokens of the sign-in to ${origin}.`, {
      hint: 'Unlock it, or sign in again.',
      next: [`cloud auth login --url ${origin}`],
    });
  }

  /** Keeps a sign-in in place of the former one to that instance. */
  async save(origin: string, { tokens, ...facts }: NewSignIn): Promise<InstanceSignIn> {
    const former = (await this.#read()).get(origin);
    const account = former?.kept.in === 'keychain' ? former.kept.account : randomUUID();
    const kept: Stored['kept'] = (await this.#storedInKeychain(account, tokens))
      ? { in: 'keychain', account }
      : { in: 'file', tokens };
    await this.#change((all) => all.set(origin, { ...facts, kept }));
    return { ...facts, kept: kept.in };
  }

  /** Forgets a sign-in. A key chain that can't be asked does not hold it up: what stays there has been revoked, or ends. */
  async remove(origin: string): Promise<void> {
    const former = (await this.#read()).get(origin);
    await this.#change((all) => all.delete(origin));
    if (former?.kept.in !== 'keychain') return;
    await this.#keychain?.remove(former.kept.account).catch(tolerated);
  }

  /**
   * Runs `work` while no other command works with the sign-in to that instance: a refresh token is good once.
   * @throws TimeoutError naming who holds it
   */
  async exclusively<T>(origin: string, work: () => Promise<T>): Promise<T> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const name = createHash('sha256').update(origin).digest('hex').slice(0, 12);
    return await withFileLock(join(this.#folder, `sign-ins.${name}.lock`), work, lockWaitMs);
  }

  async #storedInKeychain(account: string, tokens: InstanceTokens): Promise<boolean> {
    if (this.#keychain === undefined) return false;
    try {
      await this.#keychain.store(account, Buffer.from(JSON.stringify(tokens)).toString('base64url'));
      return true;
    } catch (error) {
      tolerated(error);
      return false;
    }
  }

  #required(origin: string): Keychain {
    if (this.#keychain !== undefined) return this.#keychain;
    throw new PreconditionError('The tokens are in the key chain, which can not be asked from here.', {
      hint: 'Run it in the desktop session where you signed in, or sign in again here.',
      data: { variable: 'DBUS_SESSION_BUS_ADDRESS', set: this.#env['DBUS_SESSION_BUS_ADDRESS'] !== undefined },
      next: [`cloud auth login --url ${origin}`],
    });
  }

  async #read(): Promise<Map<string, Stored>> {
    const stats = statSync(this.file, { throwIfNoEntry: false });
    if (stats !== undefined) assertPrivate(this.file, stats, 'The file of sign-ins');
    return new Map(Object.entries((await readJson(this.file, fileSchema))?.sign_ins ?? {}));
  }

  async #change(alter: (all: Map<string, Stored>) => unknown): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await withFileLock(`${this.file}.lock`, async () => {
      const all = await this.#read();
      alter(all);
      const content = { version: 1, sign_ins: Object.fromEntries(all) };
      await writeFileAtomic(this.file, `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
    });
  }
}

function decoded(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown;
  } catch {
    return undefined; // what is no JSON is no sign-in; the parser's message would quote it
  }
}

/** The key chain may be missing, locked or full: there is another place. Anything else is a fault of ours. */
function tolerated(error: unknown): void {
  if (!(error instanceof PreconditionError)) throw error;
}
