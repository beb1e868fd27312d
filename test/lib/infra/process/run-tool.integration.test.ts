import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { processInfo } from '../../../../src/lib/infra/process/identity.ts';
import { runTool, type ToolCommand } from '../../../../src/lib/infra/process/run-tool.ts';
import { linuxPids } from '../../../../src/lib/infra/process/table.ts';
import { CancelledError } from '../../../../src/lib/shared/errors.ts';

const program = join(import.meta.dirname, '../../../fixtures/programs/tool.mjs');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'run-tool-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function command(args: readonly string[], more: Partial<ToolCommand> = {}): ToolCommand {
  const env = { PATH: process.env['PATH'] ?? '' };
  return {
    file: process.execPath,
    args: [program, ...args],
    env,
    cwd: folder,
    timeoutMs: 20_000,
    maxOutputBytes: 10_000,
    ...more,
  };
}

/** The pid that a program wrote into a file, as soon as it is there. */
async function pidIn(file: string): Promise<number> {
  return await vi.waitFor(() => {
    const pid = Number(readFileSync(join(folder, file), 'utf8'));
    if (!(pid > 1)) throw new Error('nothing written yet');
    return pid;
  }, 10_000);
}

async function expectGone(...pids: readonly number[]): Promise<void> {
  await vi.waitFor(async () => {
    for (const pid of pids) {
      const info = await processInfo(pid);
      expect(info === undefined || info.state === 'Z').toBe(true);
    }
  }, 5_000);
}

describe('runTool', () => {
  it('gives arguments as they are, input, and no environment but the given one', async () => {
    const words = ['a b', '$(id)', '; ls', '*', "'", ''];
    const run = await runTool(command(['echo', ...words], { input: 'in put' }));
    expect(run).toMatchObject({ exitCode: 0, signal: null, timedOut: false, cancelled: false, truncated: false });
    expect(JSON.parse(run.stdout)).toEqual({ args: words, input: 'in put', env: ['PATH', 'SYSTEMPROMPT_TOOL_RUN'] });
  });

  it('reports exit code and standard error', async () => {
    expect(await runTool(command(['exit', '7']))).toMatchObject({ exitCode: 7, stderr: 'told so', stdout: '' });
  });

  it('hands a secret over on descriptor 3, in neither arguments nor environment', async () => {
    const run = await runTool(command(['fd'], { extraFds: ['canary-token'] }));
    const [secret, ...elsewhere] = run.stdout.split('|');
    expect(secret).toBe('canary-token');
    expect(elsewhere.join('|')).not.toContain('canary-token');
  });

  it('does not mind a program that never reads its descriptors', async () => {
    const run = await runTool(
      command(['exit', '0'], { input: 'x'.repeat(1_000_000), extraFds: ['y'.repeat(1_000_000)] }),
    );
    expect(run.exitCode).toBe(0);
  });

  it('keeps the head of the output, cuts between characters, and never blocks the writer', async () => {
    const run = await runTool(command(['flood', '3000000'], { maxOutputBytes: 1001 }));
    expect(run).toMatchObject({ exitCode: 0, truncated: true, outputBytes: 6_000_000 });
    expect(run.stdout).toBe('ä'.repeat(500));
  });

  it('throws when the program does not exist', async () => {
    await expect(runTool({ ...command([]), file: '/nowhere/program' })).rejects.toThrow(/ENOENT/);
  });

  it('does not start when it is cancelled already', async () => {
    await expect(runTool(command(['exit', '0'], { signal: AbortSignal.abort() }))).rejects.toThrow(CancelledError);
  });

  it('ends the program on timeout', async () => {
    const run = await runTool(command(['linger', join(folder, 'pid')], { timeoutMs: 1_500 }));
    expect(run).toMatchObject({ timedOut: true, cancelled: false, exitCode: null, signal: 'SIGTERM' });
  });

  it('kills one that ignores SIGTERM after the grace', async () => {
    const cancel = new AbortController();
    const running = runTool(command(['stubborn', join(folder, 'pid')], { graceMs: 100, signal: cancel.signal }));
    const pid = await pidIn('pid');
    cancel.abort();
    expect(await running).toMatchObject({ cancelled: true, timedOut: false, signal: 'SIGKILL' });
    await expectGone(pid);
  });

  it.each(['linger', 'end'])('leaves no process of the family behind (the leader does: %s)', async (then) => {
    const before = new Set(linuxPids());
    const cancel = new AbortController();
    const files = ['own', 'group', 'daemon'].map((name) => join(folder, name));
    const running = runTool(command(['family', ...files, then], { signal: cancel.signal, graceMs: 5_000 }));
    if (then === 'linger') {
      const pids = [await pidIn('own'), await pidIn('group'), await pidIn('daemon')];
      cancel.abort();
      expect((await running).cancelled).toBe(true);
      await expectGone(...pids);
    } else {
      expect((await running).exitCode).toBe(0);
      const left: number[] = [];
      for (const pid of linuxPids()) {
        if (before.has(pid)) continue;
        const command = readCommand(pid);
        if (command.includes(folder)) left.push(pid);
      }
      expect(left).toEqual([]);
    }
  });
});

function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
