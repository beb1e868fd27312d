import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { runTool, type ToolRun } from '../infra/process/run-tool.ts';
import { type Artifact, artifactSchema } from '../shared/artifact.ts';
import type { CliFailure, CliManifest, CliResult, CliRunOptions } from '../shared/cli-port.ts';
import { AppError, CancelledError } from '../shared/errors.ts';
import { CliManifestFile } from './cli-manifest.ts';
import { type SlotLimits, Slots } from './cli-slots.ts';

export interface CliRunnerOptions {
  /** Folder with `bin/run.js` and `oclif.manifest.json`. */
  readonly packageRoot: string;
  /** Where commands run: the instance's root. */
  readonly cwd: string;
  /** Of this process; only what a command needs is handed on. */
  readonly env: NodeJS.ProcessEnv;
  /** How many commands may run and wait at once; what the machine can do with unless told. */
  readonly limits?: SlotLimits;
}

export interface CliCall extends CliRunOptions {
  /** The caller's, at most 60 s old; goes over descriptor 3. */
  readonly token: string;
  /** Who asks: no caller gets all of the slots. */
  readonly caller: string;
}

/**
 * What a command needs of the environment: to find programs, the user's folders and the instance, and the marker by
 * which the supervisor knows what belongs to this service. Keys and the database's address are not among it.
 */
const handedOn = [
  'PATH',
  'HOME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'XDG_CACHE_HOME',
  'XDG_RUNTIME_DIR',
  'SYSTEMPROMPT_ROOT',
  'SYSTEMPROMPT_PROFILE',
  'SYSTEMPROMPT_INSTANCE',
  'SYSTEMPROMPT_SERVICE',
  'SYSTEMPROMPT_SERVICE_INSTANCE',
] as const;

/** Bytes of output that one command may produce. */
const maxOutputBytes = 16 * 1024 * 1024;

/** Every command is a Node.js process of its own: more at once than this are slower, each and together. */
const slotsPerCore = 2;
const waitingCommands = 64;

const failureSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  next: z.array(z.string()).default([]),
});

const envelope = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), artifact: artifactSchema }),
  z.object({ ok: z.literal(false), error: failureSchema }),
]);

/** Runs the product's own CLI as a process that holds a caller's token and nothing more. */
export class CliRunner {
  readonly #options: CliRunnerOptions;
  readonly #manifest: CliManifestFile;
  readonly #slots: Slots;

  constructor(options: CliRunnerOptions) {
    this.#options = options;
    this.#manifest = new CliManifestFile(options.packageRoot);
    const limits = { slots: slotsPerCore * availableParallelism(), waiting: waitingCommands };
    this.#slots = new Slots(options.limits ?? limits);
  }

  manifest(): Promise<CliManifest> {
    return this.#manifest.load();
  }

  /**
   * Runs one command line and returns what it said of itself. JSON and the absence of anybody to ask are forced. When
   * too many run already it waits for its turn, which counts against its time.
   *
   * @param args words of the command line, which must begin with the command's name
   * @throws CancelledError when it was cancelled before the start; the system's error when Node.js can't be started
   */
  async run(args: readonly string[], call: CliCall): Promise<CliResult> {
    const deadline = performance.now() + call.timeoutMs;
    let release: () => void;
    try {
      release = await this.#slots.take(call);
    } catch (error) {
      if (!(error instanceof AppError) || error instanceof CancelledError) throw error;
      const { code, message, hint, next } = error;
      return { ok: false, exitCode: null, failure: { code, message, ...(hint === undefined ? {} : { hint }), next } };
    }
    try {
      const run = await runTool({
        file: process.execPath,
        args: [`${this.#options.packageRoot}/bin/run.js`, ...args],
        env: this.#env(),
        cwd: this.#options.cwd,
        extraFds: [call.token],
        timeoutMs: Math.max(1, Math.round(deadline - performance.now())),
        maxOutputBytes,
        signal: call.signal,
      });
      return toResult(run, call.timeoutMs);
    } finally {
      release();
    }
  }

  #env(): Record<string, string> {
    const given = handedOn.flatMap((name) => {
      const value = this.#options.env[name];
      return value === undefined ? [] : [[name, value]];
    });
    return {
      ...Object.fromEntries(given),
      SYSTEMPROMPT_DEPTH: '1',
      SYSTEMPROMPT_NON_INTERACTIVE: '1',
      SYSTEMPROMPT_OUTPUT_FORMAT: 'json',
      SYSTEMPROMPT_TOKEN_FD: '3',
      NO_COLOR: '1',
    };
  }
}

function toResult(run: ToolRun, timeoutMs: number): CliResult {
  const failed = (failure: CliFailure): CliResult => ({ ok: false, exitCode: run.exitCode, failure });
  if (run.cancelled) return failed({ code: 'CANCELLED', message: 'Cancelled', next: [] });
  if (run.timedOut) {
    const message = `The command did not end within ${timeoutMs} ms and was stopped; what it did until then stands`;
    return failed({ code: 'TIMEOUT', message, hint: 'Give it more time with timeout_ms, or ask for less', next: [] });
  }
  if (run.truncated) {
    const message = `The command printed ${run.outputBytes} bytes, more than the ${maxOutputBytes} that are read`;
    return failed({ code: 'TOO_LARGE', message, hint: 'Ask for less: most lists take --limit', next: [] });
  }
  const said = lastEnvelope(run.stdout);
  if (said === undefined) {
    const ending = run.signal === null ? `exit code ${run.exitCode}` : `signal ${run.signal}`;
    const message = `The command ended with ${ending} and gave no result: ${run.stderr.trim().slice(-500)}`;
    return failed({ code: 'INTERNAL', message, next: [] });
  }
  if (!said.ok) return failed(said.failure);
  return { ok: true, exitCode: run.exitCode ?? 1, artifact: said.artifact, lines: said.lines };
}

type Said =
  | { readonly ok: true; readonly artifact: Artifact; readonly lines: readonly unknown[] }
  | { readonly ok: false; readonly failure: CliFailure };

/** The envelope is the last line; a streaming command prints its facts before it, a JSON value a line. */
function lastEnvelope(stdout: string): Said | undefined {
  const lines = stdout.split('\n').filter((line) => line.trim() !== '');
  const values = lines.map(parseJson);
  const parsed = envelope.safeParse(values.pop());
  if (!parsed.success) return undefined;
  if (parsed.data.ok) {
    return { ok: true, artifact: parsed.data.artifact, lines: values.filter((value) => value !== undefined) };
  }
  const { hint, ...error } = parsed.data.error;
  return { ok: false, failure: { ...error, ...(hint === undefined ? {} : { hint }) } };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
