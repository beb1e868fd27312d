// Writes oclif.manifest.json, the index of all commands, from the built commands. @oclif/core itself makes it; the
// `oclif` tool that usually does so brings 100 MB of dependencies.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param {string} packageRoot folder with package.json and dist/commands
 * @throws what the module of a command throws when it is loaded; an index with a gap would hide that command
 */
export async function writeManifest(packageRoot) {
  const { Plugin } = await import('@oclif/core');
  const plugin = new Plugin({
    errorOnManifestCreate: true,
    ignoreManifest: true,
    respectNoCacheDefault: true,
    root: packageRoot,
  });
  await plugin.load();
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  if (plugin.manifest.version !== version)
    throw new Error(`manifest is of version ${plugin.manifest.version}, package of ${version}`);
  writeFileSync(join(packageRoot, 'oclif.manifest.json'), `${JSON.stringify(plugin.manifest)}\n`);
}
