import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { displayPath } from '../../infra/config/yaml-source.ts';
import { runTool } from '../../infra/process/run-tool.ts';
import { CancelledError, type ConfigIssue } from '../../shared/errors.ts';

const timeoutMs = 120_000;
const keptBytes = 1024 * 1024;
/** `src/a.ts(3,7): error TS2322: Type …`; lines that follow are indented and say more of it. */
const diagnostic = /^(.+?)\((\d+),(\d+)\): error (TS\d+): (.*)$/;

/** What the type checker has against each file, by its absolute path. */
export type TypeIssues = ReadonlyMap<string, readonly ConfigIssue[]>;

/**
 * Checks the types of a project with its own TypeScript and tsconfig.json: whether a handler returns what its output
 * promises is a question of types. A project without either is not checked.
 * @throws CancelledError
 */
export async function typeIssues(root: string, signal?: AbortSignal): Promise<TypeIssues> {
  const tsc = locateTypeScript(root);
  const found = new Map<string, ConfigIssue[]>();
  if (tsc === undefined || !existsSync(join(root, 'tsconfig.json'))) return found;
  const run = await runTool({
    file: process.execPath,
    args: [tsc, '--noEmit', '--pretty', 'false', '-p', join(root, 'tsconfig.json')],
    env: Object.fromEntries(
      ['PATH', 'HOME', 'TMPDIR'].flatMap((name) =>
        process.env[name] === undefined ? [] : [[name, process.env[name]]],
      ),
    ),
    cwd: root,
    timeoutMs,
    maxOutputBytes: keptBytes,
    maxErrorBytes: keptBytes,
    ...(signal === undefined ? {} : { signal }),
  });
  if (run.cancelled) throw new CancelledError('Interrupted', { data: { signal: 'SIGINT' } });
  for (const line of run.stdout.split('\n')) {
    const [, path, row, column, code, message] = diagnostic.exec(line) ?? [];
    if (path === undefined || message === undefined) continue;
    const file = resolve(root, path);
    const issue = {
      file: displayPath(file),
      line: Number(row),
      column: Number(column),
      message,
      hint: `${code} of TypeScript`,
    };
    found.set(file, [...(found.get(file) ?? []), issue]);
  }
  return found;
}

function locateTypeScript(root: string): string | undefined {
  try {
    const manifest = createRequire(join(root, 'package.json')).resolve('typescript/package.json');
    const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly bin?: { readonly tsc?: string } };
    return bin?.tsc === undefined ? undefined : join(dirname(manifest), bin.tsc);
  } catch {
    return undefined; // not installed: `tsc` is the author's to run then
  }
}
