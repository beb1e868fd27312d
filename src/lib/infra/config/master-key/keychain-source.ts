import { randomUUID } from 'node:crypto';
import { PreconditionError } from '../../../shared/errors.ts';
import { runTool, type ToolRun } from '../../process/run-tool.ts';
import { type MasterKey, masterKeyText, parseMasterKey } from '../master-key.ts';
import type { KeyEntry } from './record.ts';
import type { KeySurroundings, MasterKeySource } from './source.ts';

type KeychainEntry = Extract<KeyEntry, { source: 'keychain' }>;

/** Under which the key chain files our keys; the account names instance and key. */
const service = 'systemprompt';
/** A locked key chain asks the user, at their screen. */
const timeoutMs = 60_000;
/** errSecItemNotFound as security(1) exits with it. */
const notFound = 44;

interface KeychainCall {
  readonly file: string;
  readonly args: readonly string[];
  /** Keys go this way: arguments can be read by every user of the machine. */
  readonly input?: string;
}

/** How to speak to one system's key chain. */
interface Dialect {
  store(account: string, text: string): KeychainCall;
  lookUp(account: string): KeychainCall;
  remove(account: string): KeychainCall;
}

/** The login key chain of macOS, security(1): `-i` reads commands, and with them the key, from standard input. */
const macos: Dialect = {
  store: (account, text) => ({
    file: 'security',
    args: ['-i'],
    input: `add-generic-password -U -s ${service} -a ${account} -l "systemprompt master key" -w ${text}\n`,
  }),
  lookUp: (account) => ({ file: 'security', args: ['find-generic-password', '-s', service, '-a', account, '-w'] }),
  remove: (account) => ({ file: 'security', args: ['delete-generic-password', '-s', service, '-a', account] }),
};

/** The Secret Service of Linux desktops, secret-tool(1): `store` reads what it keeps from standard input to its end. */
const linux: Dialect = {
  store: (account, text) => ({
    file: 'secret-tool',
    args: ['store', '--label=systemprompt master key', 'service', service, 'account', account],
    input: text,
  }),
  lookUp: (account) => ({ file: 'secret-tool', args: ['lookup', 'service', service, 'account', account] }),
  remove: (account) => ({ file: 'secret-tool', args: ['clear', 'service', service, 'account', account] }),
};

/** The key in the key chain of the operating system. */
export class KeychainSource implements MasterKeySource<KeychainEntry> {
  readonly #env: NodeJS.ProcessEnv;
  readonly #dialect: Dialect;

  constructor({ env }: KeySurroundings, platform: NodeJS.Platform = process.platform) {
    this.#env = env;
    this.#dialect = platform === 'darwin' ? macos : linux;
  }

  async read({ account, kid }: KeychainEntry): Promise<MasterKey> {
    const call = this.#dialect.lookUp(account);
    const run = await this.#run(call);
    const text = run.stdout.trim();
    if (run.exitCode !== 0 || text === '') throw failed(call, run, 'has no master key of this instance');
    const key = parseMasterKey(text);
    if (key?.kid === kid) return key;
    throw new PreconditionError('What the key chain keeps for this instance is another key.', {
      hint: 'Restore the key chain, and secrets.json with master-key.json, from the same backup.',
    });
  }

  async prepare(key: MasterKey): Promise<KeychainEntry> {
    return { source: 'keychain', kid: key.kid, account: randomUUID() };
  }

  async keep(key: MasterKey, entry: KeychainEntry): Promise<void> {
    const call = this.#dialect.store(entry.account, masterKeyText(key));
    const run = await this.#run(call);
    if (run.exitCode !== 0) throw failed(call, run, 'does not take the master key');
    // security -i ends with 0 whatever became of its commands.
    await this.read(entry);
  }

  async settle(): Promise<void> {}

  async drop({ account }: KeychainEntry): Promise<void> {
    const look = await this.#run(this.#dialect.lookUp(account));
    if (look.exitCode === notFound || look.stdout.trim() === '') return;
    const call = this.#dialect.remove(account);
    const run = await this.#run(call);
    if (run.exitCode !== 0) throw failed(call, run, 'does not give up the former master key');
  }

  async #run({ file, args, input }: KeychainCall): Promise<ToolRun> {
    const env = Object.fromEntries(
      Object.entries(this.#env).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    const ours = Object.fromEntries(Object.entries(env).filter(([name]) => !/^(SYSTEMPROMPT|VAULT)_/.test(name)));
    const command = { file, args, env: ours, cwd: '/', timeoutMs, maxOutputBytes: 4096 };
    try {
      return await runTool({ ...command, ...(input === undefined ? {} : { input }) });
    } catch (error) {
      throw new PreconditionError(`The key chain can't be reached: ${file} can't be run.`, {
        hint: 'Install it (Debian, Ubuntu: apt install libsecret-tools), or keep the master key elsewhere.',
        cause: error,
      });
    }
  }
}

/** Of what the program printed nothing is quoted: it may echo what it read. */
function failed({ file }: KeychainCall, run: ToolRun, what: string): PreconditionError {
  const how = run.timedOut ? `no answer in ${timeoutMs / 1000} s` : `exit code ${run.exitCode ?? run.signal}`;
  return new PreconditionError(`The key chain ${what} (${file}: ${how}).`, {
    hint: 'Unlock the key chain of the user that runs the system, then try again.',
  });
}
