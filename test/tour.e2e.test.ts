import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cliEnvironment, packageRoot } from './helpers/cli.ts';
import { type RunningSystem, startSystem } from './helpers/running-system.ts';

/** What each line of the tour has to show; a line without an entry here fails the test, so that none goes unlooked-at. */
const expected: readonly (readonly [line: RegExp, output: RegExp])[] = [
  [/infra services status$/, /mcp:systemprompt\s+ready/],
  [/plugins mcp list$/, /systemprompt/],
  [/plugins mcp tools systemprompt$/, /commands/],
  [/plugins mcp call/, /mcp:systemprompt\s+ready/],
  [/^curl -si /, /www-authenticate: Bearer.*resource_metadata=/i],
  [/^TOKEN=/, /^$/],
  [/^npx -y @modelcontextprotocol\/inspector@/, /"structuredContent"/],
  [/admin users link$/, /localhost:\d+\/auth\/owner\?token=/],
  [/^curl -s .*oauth-protected-resource/, /"authorization_servers":\["http:\/\/localhost:\d+"\]/],
  [/admin users create ada /, /admin users link ada/],
  [/admin access check --user ada /, /ada may call systemprompt systemprompt[\s\S]*held: by the role user/],
  [/admin users role ada --add admin$/, /Roles\s+user, admin/],
  [/admin audit list/, /success/],
  // Cells are cut to the width of the shell, and stand as blocks where even that is too narrow.
  [/admin audit identity/, /role_ch\S*\s+(?:USER\s+)?ada\s/],
  [/doctor$/, /migrations\s+ok/],
];

const readme = readFileSync(`${packageRoot}README.md`, 'utf8');
const tour = readme.slice(readme.indexOf('## A five-minute tour'), readme.indexOf('## Add it to an MCP client'));
const blocks = [...tour.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => (block ?? '').trim().split('\n'));

/** The README's lines, in a shell, as a reader types them. Only the folder and the port are the test's own. */
describe('the tour in the README', () => {
  let system: RunningSystem;
  beforeAll(async () => {
    system = await startSystem();
  }, 120_000);
  afterAll(async () => {
    await system?.[Symbol.asyncDispose]();
  });

  it('begins with npm start, which test/scripts/start.e2e.test.ts runs from a fresh checkout', () => {
    expect(blocks[0]).toEqual(['npm start']);
    expect(blocks.length).toBeGreaterThan(4);
  });

  it.each(blocks.slice(1).map((lines) => [lines]))('%j', async (lines) => {
    const bounds = lines.map((_, index) => `--- line ${index} ---`);
    const script = lines.flatMap((line, index) => [
      line.replaceAll('http://localhost:8080', system.url),
      `echo; echo '${bounds[index]}'`,
    ]);
    const shell = spawn('bash', ['-e', '-o', 'pipefail', '-c', script.join('\n')], {
      cwd: packageRoot,
      env: cliEnvironment({ SYSTEMPROMPT_ROOT: system.instance.root }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    shell.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    shell.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    await once(shell, 'close');
    expect(shell.exitCode, `${stdout}\n${stderr}`).toBe(0);
    let rest = stdout;
    for (const [index, line] of lines.entries()) {
      const end = rest.indexOf(bounds[index] as string);
      const output = rest.slice(0, end).trim();
      rest = rest.slice(end + (bounds[index] as string).length);
      const look = expected.find(([pattern]) => pattern.test(line))?.[1];
      expect(look, `nothing is expected of: ${line}`).toBeDefined();
      expect(output).toMatch(look as RegExp);
    }
  });
});
