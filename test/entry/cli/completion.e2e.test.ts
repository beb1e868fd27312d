import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cliEnvironment, runCli } from '../../helpers/cli.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const scripts = new Map<string, string>();
beforeAll(async () => {
  folder = await temporaryFolder();
  for (const profile of ['local', 'staging'])
    mkdirSync(join(folder.path, '.systemprompt/profiles', profile), { recursive: true });
  mkdirSync(join(folder.path, 'services/mcp'), { recursive: true });
  for (const name of ['systemprompt', 'search']) writeFileSync(join(folder.path, `services/mcp/${name}.yaml`), '');
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout, stderr, code } = await runCli(['completion', shell], { cwd: folder.path });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    scripts.set(shell, stdout);
    writeFileSync(join(folder.path, `completion.${shell}`), stdout);
  }
});
afterAll(() => folder[Symbol.asyncDispose]());

const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;

describe('bash', () => {
  /** What readline would offer at the end of a line. */
  function offered(line: string, cwd = folder.path): string[] {
    const program = `. "$1"; COMP_LINE="$2"; COMP_POINT=\${#2}; _systemprompt; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const args = ['--norc', '-uc', program, 'bash', join(folder.path, 'completion.bash'), line];
    const text = execFileSync('bash', args, { cwd, encoding: 'utf8', env: cliEnvironment() });
    return text.split('\n').filter((word) => word !== '');
  }

  it('completes topics and commands, wherever flags stand', () => {
    expect(offered('systemprompt inf')).toEqual(['infra']);
    expect(offered('systemprompt infra services sta')).toEqual(['start', 'status']);
    expect(offered('systemprompt --json infra db m')).toEqual(['migrate']);
    expect(offered('systemprompt ')).toEqual(expect.arrayContaining(['admin', 'doctor', 'infra', 'completion']));
    expect(offered('systemprompt nope ')).toEqual(offered('systemprompt '));
  });

  it('completes flags and their values', () => {
    expect(offered('systemprompt infra services logs --fo')).toEqual(['--follow']);
    expect(offered('systemprompt infra services logs --level ')).toEqual(expect.arrayContaining(['trace', 'fatal']));
    expect(offered('systemprompt infra services logs --level=wa')).toEqual(['warn']);
    expect(offered('systemprompt completion ')).toEqual(['bash', 'zsh', 'fish']);
    expect(offered('systemprompt doctor --profile s')).toEqual(['staging']);
    expect(offered('systemprompt --profile s')).toEqual(['staging']);
  });

  it('completes names of the project, from a folder below it too', () => {
    expect(offered('systemprompt infra services logs mcp:s')).toEqual(['search', 'systemprompt']);
    expect(offered('systemprompt plugins mcp tools sy')).toEqual(['systemprompt']);
    expect(offered('systemprompt plugins mcp tools sy', join(folder.path, 'services/mcp'))).toEqual(['systemprompt']);
    expect(offered('systemprompt plugins mcp tools ', '/')).toEqual([]);
  });

  it('offers no name that a shell would act on', () => {
    const project = join(folder.path, 'hostile');
    mkdirSync(join(project, '.systemprompt/profiles/$(touch owned)'), { recursive: true });
    mkdirSync(join(project, 'services/mcp'), { recursive: true });
    const names = ['$(touch owned)', '`touch owned`', 'a;b', "it's", 'a b', 'esc\u001b[2J', 'line\nbreak', 'good'];
    for (const name of names) writeFileSync(join(project, `services/mcp/${name}.yaml`), '');
    expect(offered('systemprompt plugins mcp tools ', project)).toEqual(['good']);
    expect(offered('systemprompt infra services logs mcp:', project)).toEqual(['good']);
    expect(offered('systemprompt doctor --profile ', project)).toEqual([]);
  });

  it('is offered by a real readline', () => {
    if (!has('script')) return;
    // Two tabs list what there is; what is typed goes through a pseudo-terminal.
    const typed = `. ${join(folder.path, 'completion.bash')}\nsystemprompt infra services l\t\nexit\n`;
    const { stdout } = spawnSync('script', ['-qec', 'bash --norc --noprofile -i', '/dev/null'], {
      input: typed,
      encoding: 'utf8',
      cwd: folder.path,
      env: cliEnvironment({ TERM: 'dumb' }),
      timeout: 60_000,
    });
    expect(stdout).toContain('systemprompt infra services logs');
  });
});

describe('the other shells', () => {
  it.skipIf(!has('zsh'))('zsh reads its script', () => {
    execFileSync('zsh', ['-n', join(folder.path, 'completion.zsh')]);
  });

  it.skipIf(!has('fish'))('fish reads its script', () => {
    execFileSync('fish', ['--no-execute', join(folder.path, 'completion.fish')]);
  });

  it('have every command in their scripts', () => {
    for (const shell of ['zsh', 'fish']) {
      expect(scripts.get(shell)).toContain("'infra services'");
      expect(scripts.get(shell)).toMatch(/follow/);
    }
    // Whatever a summary holds is quoted for fish.
    for (const line of (scripts.get('fish') ?? '').split('\n').filter((text) => text.startsWith('complete '))) {
      expect(line.replaceAll(/'(?:[^'\\]|\\.)*'/g, '')).not.toMatch(/['"$();|&]/);
    }
    // What zsh shares with bash, bash can check.
    execFileSync('bash', ['-n', join(folder.path, 'completion.bash')]);
  });

  it('are no others', async () => {
    expect((await runCli(['completion', 'tcsh'], { cwd: folder.path })).code).toBe(2);
  });
});
