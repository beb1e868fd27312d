import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Config } from '@oclif/core/config';
import { settings } from '@oclif/core/settings';

export interface CliOptions {
  /** The package's own folder. */
  readonly root: string;
  /** Where the commands lie when they are run from source; the manifest is not used then. */
  readonly commands?: string;
}

/** The command framework's whole configuration: for help, and for running from source. */
export async function loadConfig(options: CliOptions): Promise<Config> {
  // Node.js strips types by itself; the framework must not look for a transpiler.
  settings.enableAutoTranspile = false;
  if (options.commands === undefined) return await Config.load({ root: options.root });
  const pjson = JSON.parse(readFileSync(join(options.root, 'package.json'), 'utf8'));
  pjson.oclif.commands = { strategy: 'pattern', target: options.commands, globPatterns: ['**/*.ts'] };
  return await Config.load({ root: options.root, pjson, isRoot: true, ignoreManifest: true } as never);
}
