import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool, type ToolRun } from '../../infra/process/run-tool.ts';
import { CancelledError } from '../../shared/errors.ts';
import type { ServerFinding } from '../../shared/server-findings.ts';
import type { ServerFacts } from './artifact-file.ts';

/** What came of loading a module. */
export type Inspection =
  | { readonly server: ServerFacts }
  | { readonly findings: readonly ServerFinding[] }
  | { readonly fault: 'throws'; readonly message: string; readonly stack: string }
  | { readonly fault: 'memory' | 'time' | 'waits' }
  | { readonly fault: 'crash'; readonly message: string };

export interface InspectionLimits {
  /** In ms. */
  readonly timeoutMs: number;
  readonly memoryMb: number;
}

export const inspectionLimits: InspectionLimits = { timeoutMs: 20_000, memoryMb: 512 };

/** What a module may need in order to be loaded; nothing that leads to a network, a database or a secret. */
const handedOn = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];
/** Of node: it ended while the module still waited at its top level. */
const unsettledExitCode = 13;
const keptBytes = 16 * 1024;
/** What node prints of its own stack when it is aborted. */
const nativeFrame = /^-----|^\s*\d+: 0x/;

/**
 * Loads a built module in a process of its own and asks what it exports.
 * @param packageRoot the folder of the built systemprompt
 * @param scratch a folder for the answer
 * @param cwd where the module would run
 * @throws CancelledError
 */
export async function inspectModule(
  module: string,
  places: { readonly packageRoot: string; readonly scratch: string; readonly cwd: string },
  limits: InspectionLimits,
  signal?: AbortSignal,
): Promise<Inspection> {
  const answer = join(places.scratch, 'inspection.json');
  const run = await runTool({
    file: process.execPath,
    args: [
      `--max-old-space-size=${limits.memoryMb}`,
      join(places.packageRoot, 'dist', 'entry', 'inspect', 'main.js'),
      module,
      answer,
      String(limits.memoryMb * 1024 * 1024),
    ],
    env: Object.fromEntries(
      handedOn.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ),
    cwd: places.cwd,
    timeoutMs: limits.timeoutMs,
    maxOutputBytes: keptBytes,
    maxErrorBytes: keptBytes,
    graceMs: 200,
    ...(signal === undefined ? {} : { signal }),
  });
  if (run.cancelled) throw new CancelledError('Interrupted', { data: { signal: 'SIGINT' } });
  const text = await readFile(answer, 'utf8').catch(() => undefined);
  if (text !== undefined) return JSON.parse(text) as Inspection;
  return withoutAnswer(run);
}

function withoutAnswer({ timedOut, exitCode, signal, stderr }: ToolRun): Inspection {
  if (timedOut) return { fault: 'time' };
  if (exitCode === unsettledExitCode) return { fault: 'waits' };
  if (stderr.includes('heap out of memory')) return { fault: 'memory' };
  const said = stderr
    .trim()
    .split('\n')
    .filter((line) => line.trim() !== '' && !nativeFrame.test(line))
    .slice(0, 3)
    .join(' ')
    .slice(0, 300);
  const ended = signal === null ? `exit code ${exitCode}` : signal;
  return { fault: 'crash', message: said === '' ? ended : `${ended}: ${said}` };
}
