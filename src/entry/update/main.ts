// Asks the user's npm registry for the newest version, in the background, and keeps the answer for the next command.
import { homedir } from 'node:os';
import { withoutSecrets } from '../../lib/infra/config/master-key/variables.ts';
import { changeUpdateCache } from '../../lib/infra/config/update-cache.ts';
import { runTool } from '../../lib/infra/process/run-tool.ts';

const timeoutMs = 60_000;

// npm knows which registry the user has, how to get there, and what it takes to be let in.
const asked = await runTool({
  file: 'npm',
  args: ['view', 'systemprompt', 'version', '--json', '--fetch-retries=0'],
  env: { ...withoutSecrets(process.env), npm_config_update_notifier: 'false' },
  cwd: homedir(),
  timeoutMs,
  maxOutputBytes: 4_096,
}).catch(() => undefined); // no npm on this machine
const latest = /^\s*"(\d+\.\d+\.\d+)"\s*$/.exec(asked?.stdout ?? '')?.[1];
if (latest !== undefined) changeUpdateCache(process.env, { latest });
