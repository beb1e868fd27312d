import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const checkout = join(import.meta.dirname, '../..');

/** A user's project with an extension `hello`, its packages linked from the checkout. */
export interface ExtensionProject extends Disposable {
  readonly root: string;
  write(file: string, text: string): void;
}

/** The source of a server with one tool, which answers `words`. */
export function serverSource({
  name = 'hello',
  version = '1.0.0',
  words = 'hello',
  before = '',
  after = '',
} = {}): string {
  return `${before}import { textArtifact } from 'systemprompt';
import { defineMcpServer, defineTool } from 'systemprompt/mcp';
import { z } from 'zod';

const greet = defineTool({
  name: 'greet',
  description: 'Greets',
  input: z.strictObject({}),
  output: textArtifact,
  handler: async () => ({ type: 'text' as const, content: '${words}' }),
});

export const server = defineMcpServer({ name: '${name}', version: '${version}', description: 'Greets', tools: [greet] });
${after}`;
}

export const helloManifest = 'extension:\n  type: mcp\n  name: hello\n';

export const helloService = `mcp_servers:
  hello:
    module: extensions/mcp/hello
    port: 5320
    description: Greets.
    oauth:
      scopes: [user]
`;

/** @param root a folder that is there already; a temporary one unless told */
export function extensionProject({
  root,
  esbuild = true,
}: {
  root?: string;
  esbuild?: boolean;
} = {}): ExtensionProject {
  const folder = root ?? realpathSync(mkdtempSync(join(tmpdir(), 'systemprompt-project-')));
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  write('package.json', '{ "type": "module", "private": true }\n');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(checkout, join(folder, 'node_modules', 'systemprompt'));
  for (const name of ['zod', ...(esbuild ? ['esbuild'] : [])])
    symlinkSync(join(checkout, 'node_modules', name), join(folder, 'node_modules', name));
  write('extensions/mcp/hello/index.ts', serverSource());
  write('extensions/mcp/hello/manifest.yaml', helloManifest);
  write('services/mcp/hello.yaml', helloService);
  return { root: folder, write, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
