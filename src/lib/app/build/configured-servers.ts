import { z } from 'zod';
import { parseYamlFile } from '../../infra/config/yaml.ts';
import { displayPath } from '../../infra/config/yaml-source.ts';
import { ConfigInvalidError, type ConfigIssue } from '../../shared/errors.ts';
import type { SourcePath } from '../config/types.ts';

interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A server of the configuration, as far as building its module needs it. */
export interface ConfiguredServer {
  readonly name: string;
  readonly nameAt: SourcePath | undefined;
  readonly module: string;
  readonly moduleAt: Place;
  readonly enabled: boolean;
  /** Tools of which the configuration says something, and where. */
  readonly tools: readonly { readonly name: string; readonly at: SourcePath | undefined }[];
}

export interface ConfiguredServers {
  readonly servers: readonly ConfiguredServer[];
  /** Names of extensions that the configuration leaves out. */
  readonly disabled: readonly string[];
  /** Every file that was read or looked for. */
  readonly files: readonly string[];
  readonly issues: readonly ConfigIssue[];
}

/** The modules that a project configures as servers; none where it has no `services/` of its own. */
export async function configuredServers(servicesDir: string): Promise<ConfiguredServers> {
  const { loadServices } = await import('../config/load-services.ts');
  try {
    const { mcpServers, extensions, files, sourceOf } = await loadServices({ servicesDir });
    const modules = mcpServers.filter(({ module }) => module !== '');
    const servers = modules.map(({ name, module, moduleAt, enabled, tools }) => ({
      name,
      nameAt: sourceOf(['mcp_servers', name]),
      module,
      moduleAt,
      enabled,
      tools: [...tools.keys()].map((tool) => ({ name: tool, at: sourceOf(['mcp_servers', name, 'tools', tool]) })),
    }));
    return { servers, disabled: extensions.disabled, files, issues: [] };
  } catch (error) {
    if (error instanceof ConfigInvalidError) return { servers: [], disabled: [], files: [], issues: error.issues };
    throw error;
  }
}

/** Where the key stands that a path of a file ends with; the file is read again, since this is asked for what is wrong. */
export async function keyPlace(source: SourcePath | undefined, otherwise: Place): Promise<Place> {
  if (source === undefined) return otherwise;
  const yaml = await parseYamlFile(source.file, z.unknown());
  return 'issues' in yaml ? otherwise : { file: displayPath(source.file), ...yaml.locate(source.path, 'key') };
}
