import { basename, dirname, relative, sep } from 'node:path';

/**
 * How the CLI was called, as the user can type it again; printed before every command that we suggest.
 * Under the MCP tool it is empty: the tool takes the arguments alone.
 *
 * @param script the path of the running script (`process.argv[1]`), a symbolic link not resolved
 */
export function invocationPrefix(env: NodeJS.ProcessEnv, script: string | undefined, cwd: string): string {
  if (isDelegated(env)) return '';
  const override = env['SYSTEMPROMPT_INVOKED_AS'];
  if (override !== undefined && override !== '') return override;
  // npm sets these for what it runs: `npm exec` (npx), and a script of package.json by its name.
  if (env['npm_command'] === 'exec') return 'npx systemprompt';
  const ownScript = env['npm_package_name'] === 'systemprompt';
  // npm up to 10 calls `npm run` run-script, npm 11 calls it run.
  if (ownScript && ['run', 'run-script', 'start'].includes(env['npm_command'] ?? '')) {
    return 'npm run -s systemprompt --';
  }
  if (script === undefined) return 'systemprompt';
  const name = basename(script);
  if (name === 'run.js' || name === 'dev.js') return `node ${shellWord(shorter(relative(cwd, script), script))}`;
  if (dirname(script).endsWith(`node_modules${sep}.bin`)) return 'npx systemprompt';
  return 'systemprompt';
}

/** Whether this process was started by the `systemprompt` MCP tool for one of its callers. */
export function isDelegated(env: NodeJS.ProcessEnv): boolean {
  return (
    env['SYSTEMPROMPT_DEPTH'] !== undefined && env['SYSTEMPROMPT_DEPTH'] !== '' && env['SYSTEMPROMPT_DEPTH'] !== '0'
  );
}

/** One word of a command line, quoted for a POSIX shell where it has to be. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function shorter(a: string, b: string): string {
  return a.length <= b.length ? a : b;
}
