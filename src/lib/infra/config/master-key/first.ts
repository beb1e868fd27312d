import { join } from 'node:path';
import { writeFileAtomic } from '../atomic-file.ts';
import { generateMasterKey, masterKeyText } from '../master-key.ts';
import { keysIn } from './environment-source.ts';
import { writeKeyRecord } from './record.ts';

/**
 * Gives a new instance its master key: the one that SYSTEMPROMPT_MASTER_KEY holds (a container whose disk should not have it,
 * say), else a fresh one in a file.
 * @throws PreconditionError when the variable holds no key
 */
export async function firstMasterKey(dir: string, env: NodeJS.ProcessEnv): Promise<void> {
  const [given] = keysIn(env);
  if (given !== undefined) return await writeKeyRecord(dir, [{ source: 'environment', kid: given.kid }]);
  await writeFileAtomic(join(dir, 'master.key'), `${masterKeyText(generateMasterKey())}\n`, 0o600);
}
