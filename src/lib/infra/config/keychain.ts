import { PreconditionError } from '../../shared/errors.ts';
import { runTool, type ToolRun } from '../process/run-tool.ts';

/** Under which the key chain files what is ours; the account tells one thing from another. */
const service = 'systemprompt';
/** A locked key chain asks the user, at their screen. */
const defaultTimeoutMs = 60_000;
/** errSecItemNotFound as security(1) exits with it. */
const notFound = 44;

interface KeychainCall {
  readonly file: string;
  readonly args: readonly string[];
  /** Secrets go this way: arguments can be read by every user of the machine. */
  readonly input?: string;
}

/** How to speak to one system's key chain. */
interface Dialect {
  store(account: string, label: string, text: string): KeychainCall;
  lookUp(account: string): KeychainCall;
  remove(account: string): KeychainCall;
}

/** The login key chain of macOS, security(1): `-i` reads commands, and with them the secret, from standard input. */
const macos: Dialect = {
  store: (account, label, text) => ({
    file: 'security',
    args: ['-i'],
    input: `add-generic-password -U -s ${service} -a ${account} -l "${label}" -w ${text}\n`,
  }),
  lookUp: (account) => ({ file: 'security', args: ['find-generic-password', '-s', service, '-a', account, '-w'] }),
  remove: (account) => ({ file: 'security', args: ['delete-generic-password', '-s', service, '-a', account] }),
};

/** The Secret Service of Linux desktops, secret-tool(1): `store` reads what it keeps from standard input to its end. */
const linux: Dialect = {
  store: (account, label, text) => ({
    file: 'secret-tool',
    args: ['store', `--label=${label}`, 'service', service, 'account', account],
    input: text,
  }),
  lookUp: (account) => ({ file: 'secret-tool', args: ['lookup', 'service', service, 'account', account] }),
  remove: (account) => ({ file: 'secret-tool', args: ['clear', 'service', service, 'account', account] }),
};

export interface KeychainOptions {
  readonly env: NodeJS.ProcessEnv;
  /** What is kept, as the key chain's own window shows it and messages say it: `systemprompt master key`. */
  readonly label: string;
  /** What to do about a key chain that can't be reached. */
  readonly hint: string;
  readonly platform?: NodeJS.Platform | undefined;
  /** How long it gets to answer, in ms; a minute by default. */
  readonly timeoutMs?: number;
}

/** The key chain of the operating system: a secret under an account of our choice. */
export class Keychain {
  readonly #options: KeychainOptions;
  readonly #dialect: Dialect;
  readonly #timeoutMs: number;

  constructor(options: KeychainOptions) {
    this.#options = options;
    this.#dialect = (options.platform ?? process.platform) === 'darwin' ? macos : linux;
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  }

  /** @returns undefined when nothing is kept there. @throws PreconditionError when it can't be reached or does not answer */
  async read(account: string): Promise<string | undefined> {
    const call = this.#dialect.lookUp(account);
    const run = await this.#run(call);
    const text = run.stdout.trim();
    if (run.exitCode === 0) return text === '' ? undefined : text;
    if (!run.timedOut && (run.exitCode === notFound || text === '')) return undefined;
    throw this.#failed(call, run, 'does not answer');
  }

  /**
   * Keeps a text, in place of what was there.
   * @param text without white space or quotes: base64url, say
   * @throws PreconditionError when it is not kept
   */
  async store(account: string, text: string): Promise<void> {
    const call = this.#dialect.store(account, this.#options.label, text);
    const run = await this.#run(call);
    // security -i ends with 0 whatever became of its commands.
    if (run.exitCode !== 0 || (await this.read(account)) !== text) {
      throw this.#failed(call, run, `does not take the ${this.#options.label.replace('systemprompt ', '')}`);
    }
  }

  /** Removes what is kept there; may be repeated. @throws PreconditionError when it stays */
  async remove(account: string): Promise<void> {
    if ((await this.read(account)) === undefined) return;
    const call = this.#dialect.remove(account);
    const run = await this.#run(call);
    if (run.exitCode !== 0) throw this.#failed(call, run, 'does not give up what it keeps');
  }

  async #run({ file, args, input }: KeychainCall): Promise<ToolRun> {
    const env = Object.fromEntries(
      Object.entries(this.#options.env).filter(
        (entry): entry is [string, string] => entry[1] !== undefined && !/^(SYSTEMPROMPT|VAULT)_/.test(entry[0]),
      ),
    );
    const command = { file, args, env, cwd: '/', timeoutMs: this.#timeoutMs, maxOutputBytes: 16_384 };
    try {
      return await runTool({ ...command, ...(input === undefined ? {} : { input }) });
    } catch (error) {
      throw new PreconditionError(`The key chain can't be reached: ${file} can't be run.`, {
        hint: this.#options.hint,
        cause: error,
      });
    }
  }

  /** Of what the program printed nothing is quoted: it may echo what it read. */
  #failed({ file }: KeychainCall, run: ToolRun, what: string): PreconditionError {
    const how = run.timedOut ? `no answer in ${this.#timeoutMs / 1000} s` : `exit code ${run.exitCode ?? run.signal}`;
    return new PreconditionError(`The key chain ${what} (${file}: ${how}).`, {
      hint: 'Unlock the key chain of the user that runs the system, then try again.',
    });
  }
}
