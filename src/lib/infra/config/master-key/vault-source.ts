import { z } from 'zod';
import { PreconditionError, UsageError } from '../../../shared/errors.ts';
import { type MasterKey, masterKeyOf, readPrivateText } from '../master-key.ts';
import type { KeyEntry } from './record.ts';
import type { KeySourceWish, KeySurroundings, MasterKeySource } from './source.ts';

type VaultEntry = Extract<KeyEntry, { source: 'vault' }>;

/** A service that encrypts and decrypts under a key that never leaves it. */
export interface KeyManagementService {
  /** @returns the service's own ciphertext of the bytes */
  wrap(bytes: Uint8Array): Promise<string>;
  /** @throws PreconditionError when it refuses or can't be reached */
  unwrap(wrapped: string): Promise<Uint8Array>;
}

const timeoutMs = 10_000;
const encrypted = z.object({ data: z.object({ ciphertext: z.string().min(1) }) });
const decrypted = z.object({ data: z.object({ plaintext: z.base64() }) });

/**
 * The transit engine of HashiCorp Vault and OpenBao: `POST /v1/<mount>/encrypt/<key>` and `/decrypt/<key>` with JSON, the
 * token in X-Vault-Token (https://developer.hashicorp.com/vault/api-docs/secret/transit).
 */
export class VaultTransit implements KeyManagementService {
  readonly #base: string;
  readonly #key: string;
  readonly #token: string;

  constructor(at: { readonly address: string; readonly mount: string; readonly key: string; readonly token: string }) {
    this.#base = `${at.address.replace(/\/+$/, '')}/v1/${at.mount.split('/').map(encodeURIComponent).join('/')}`;
    this.#key = encodeURIComponent(at.key);
    this.#token = at.token;
  }

  async wrap(bytes: Uint8Array): Promise<string> {
    const plaintext = Buffer.from(bytes).toString('base64');
    return (await this.#post(`encrypt/${this.#key}`, { plaintext }, encrypted)).data.ciphertext;
  }

  async unwrap(wrapped: string): Promise<Uint8Array> {
    const { data } = await this.#post(`decrypt/${this.#key}`, { ciphertext: wrapped }, decrypted);
    return new Uint8Array(Buffer.from(data.plaintext, 'base64'));
  }

  /** Neither what was sent nor what came back is quoted in an error. */
  async #post<T>(path: string, body: object, schema: z.ZodType<T>): Promise<T> {
    let response: Response;
    let answer: unknown;
    try {
      response = await fetch(`${this.#base}/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-vault-token': this.#token, 'x-vault-request': 'true' },
        body: JSON.stringify(body),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      answer = await response.json().catch(() => undefined);
    } catch (error) {
      throw new PreconditionError(`The key management service at ${this.#base} can't be reached.`, {
        hint: 'The master key is encrypted by it: no secret can be read until it answers.',
        cause: error,
      });
    }
    const checked = schema.safeParse(answer);
    if (response.ok && checked.success) return checked.data;
    const status = response.ok ? 'an answer that is none of the transit engine' : `status ${response.status}`;
    throw new PreconditionError(`The key management service at ${this.#base} refused: ${status}.`, {
      hint: response.status === 403 ? 'Renew its token, and see what its policy allows.' : 'Its log says why.',
      data: { status: response.status },
    });
  }
}

/** The key encrypted by a key management service, beside the secrets: each process has it decrypted when it starts. */
export class VaultSource implements MasterKeySource<VaultEntry> {
  readonly #env: NodeJS.ProcessEnv;

  constructor({ env }: KeySurroundings) {
    this.#env = env;
  }

  async read(entry: VaultEntry): Promise<MasterKey> {
    const bytes = await (await this.#service(entry)).unwrap(entry.wrapped);
    const key = bytes.length === 32 ? masterKeyOf(bytes) : undefined;
    if (key?.kid === entry.kid) return key;
    throw new PreconditionError('What the key management service decrypted is not the master key of this instance.', {
      hint: 'Restore master-key.json and secrets.json from the same backup.',
    });
  }

  async prepare(key: MasterKey, wish: KeySourceWish): Promise<VaultEntry> {
    if (wish.vault === undefined) throw new UsageError('A key management service needs its address and a key.');
    const { tokenFile, ...at } = wish.vault;
    const place = { ...at, ...(tokenFile === undefined ? {} : { token_file: tokenFile }) };
    const wrapped = await (await this.#service(place)).wrap(key.bytes);
    return { source: 'vault', kid: key.kid, ...place, wrapped };
  }

  async keep(_key: MasterKey, entry: VaultEntry): Promise<void> {
    await this.read(entry); // who may encrypt may not always decrypt as well
  }

  async settle(): Promise<void> {}

  async drop(): Promise<void> {}

  async #service(place: Pick<VaultEntry, 'address' | 'mount' | 'key' | 'token_file'>): Promise<VaultTransit> {
    const token =
      place.token_file === undefined
        ? this.#env['VAULT_TOKEN']
        : await readPrivateText(
            place.token_file,
            'The token file',
            'The agent that signs in to the service writes it.',
          );
    if (token !== undefined && token !== '') return new VaultTransit({ ...place, token });
    throw new PreconditionError('There is no token for the key management service.', {
      hint: 'Set VAULT_TOKEN where the system is started and where commands are run, or name a file that holds it.',
      data: { variable: 'VAULT_TOKEN' },
    });
  }
}
