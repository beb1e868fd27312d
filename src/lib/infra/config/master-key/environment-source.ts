import { PreconditionError } from '../../../shared/errors.ts';
import { type MasterKey, parseMasterKey } from '../master-key.ts';
import type { KeyEntry } from './record.ts';
import type { KeySurroundings, MasterKeySource } from './source.ts';
import { masterKeyVariables } from './variables.ts';

type EnvironmentEntry = Extract<KeyEntry, { source: 'environment' }>;

/** The key in the environment of the processes of the core; no server and no tool gets it. */
export class EnvironmentSource implements MasterKeySource<EnvironmentEntry> {
  readonly #env: NodeJS.ProcessEnv;

  constructor({ env }: KeySurroundings) {
    this.#env = env;
  }

  async read({ kid }: EnvironmentEntry): Promise<MasterKey> {
    const keys = keysIn(this.#env);
    const found = kid === undefined ? keys[0] : keys.find((key) => key.kid === kid);
    if (found !== undefined) return found;
    const reason =
      keys.length === 0 ? 'SYSTEMPROMPT_MASTER_KEY is not set' : 'SYSTEMPROMPT_MASTER_KEY holds another key';
    throw new PreconditionError(`The master key of this instance comes from the environment, and ${reason}.`, {
      hint: 'Set it where the system is started and where commands are run.',
      data: { variable: 'SYSTEMPROMPT_MASTER_KEY' },
    });
  }

  async prepare(key: MasterKey): Promise<EnvironmentEntry> {
    return { source: 'environment', kid: key.kid };
  }

  async keep(): Promise<void> {}

  async settle(): Promise<void> {}

  async drop(): Promise<void> {}
}

/** The keys that the environment holds. @throws PreconditionError naming a variable that holds no key */
export function keysIn(env: NodeJS.ProcessEnv): MasterKey[] {
  return masterKeyVariables.flatMap((name) => {
    const text = env[name];
    if (text === undefined || text === '') return [];
    const key = parseMasterKey(text.trim());
    if (key !== undefined) return [key];
    throw new PreconditionError(`${name} holds no master key: it should be 32 bytes in base64url.`, {
      hint: 'Make one: node -p "crypto.randomBytes(32).toString(\'base64url\')"',
      data: { variable: name },
    });
  });
}
