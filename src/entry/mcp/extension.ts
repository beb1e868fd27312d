import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { StartRefusedError } from '../../lib/app/server-environment.ts';
import { isMcpServerDefinition, type McpServerDefinition } from '../../lib/shared/mcp/server.ts';

/**
 * Loads the module of an extension and takes its export `server`.
 * @throws StartRefusedError when there is no such module, it fails while it loads, or exports something else
 */
export async function loadServer(path: string): Promise<McpServerDefinition> {
  let module: { readonly server?: unknown };
  // What `build mcp` made: errors name lines of the sources then.
  if (existsSync(`${path}.map`)) process.setSourceMapsEnabled(true);
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartRefusedError(`SYSTEMPROMPT_EXTENSION ${path} could not be loaded: ${reason}${missing(cause)}`, {
      cause,
    });
  }
  if (isMcpServerDefinition(module.server)) return module.server;
  throw new StartRefusedError(
    `SYSTEMPROMPT_EXTENSION ${path} has no export "server" made by defineMcpServer() of systemprompt/mcp`,
  );
}

/** What to do about a package that is not installed, as Node.js words it. */
function missing(cause: unknown): string {
  const [, name] =
    /^Cannot find package '((?:@[\w.-]+\/)?[\w.-]+)/.exec(cause instanceof Error ? cause.message : '') ?? [];
  return name === undefined ? '' : `; install it in the project (npm install ${name}), then restart the server`;
}
