import { getPriority } from 'node:os';
import { describe, expect, it, vi } from 'vitest';
import { limitIssues, withLimits } from '../../../../src/lib/app/supervisor/with-limits.ts';
import { serviceLimitsSchema } from '../../../../src/lib/infra/config/limits-schema.ts';
import type { ServiceSpec } from '../../../../src/lib/infra/process/spec.ts';

const place = { file: 'services/mcp/a.yaml', line: 3, column: 5 };

const spec: ServiceSpec = {
  name: 'a',
  kind: 'mcp',
  dependsOn: [],
  get port() {
    return { preferred: 5_001 };
  },
  artefactHash: 'x',
  configHash: 'y',
  command: async () => ({ file: '/bin/true', args: [], env: {}, cwd: '/' }),
  probe: async () => ({ ready: true }),
  stop: { signal: 'SIGINT', graceMs: 10_000 },
  readyTimeoutMs: 30_000,
};

describe('the limits of a service', () => {
  it('take the place of what it gets by default, and leave the rest', async () => {
    const limited = withLimits(spec, {
      memory_mb: 256,
      open_files: 500,
      nice: 3,
      stop_grace_ms: 2_000,
      ready_timeout_ms: 5_000,
    });
    expect(limited).toMatchObject({
      name: 'a',
      port: { preferred: 5_001 },
      stop: { signal: 'SIGINT', graceMs: 2_000 },
      readyTimeoutMs: 5_000,
      limits: { memoryBytes: 256 * 1024 * 1024, openFiles: 500, nice: 3 },
    });
    const command = await limited.command({ instanceId: 'i' as never, port: 1 });
    expect(command).toMatchObject({ file: '/bin/true', openFiles: 500, nice: 3 });
  });

  it('make a running process outdated only when it would have to be started with them', () => {
    expect(withLimits(spec, { memory_mb: 256, stop_grace_ms: 2_000 }).configHash).toBe('y');
    const [first, second] = [500, 600].map((files) => withLimits(spec, { open_files: files }).configHash);
    expect(new Set(['y', first, second]).size).toBe(3);
  });

  it('that nothing would keep are refused with place and way out', () => {
    expect(limitIssues({}, place, 'limits of a')).toEqual([]);
    expect(limitIssues({ nice: getPriority() }, place, 'limits of a')).toEqual([]);
    const platform = vi.spyOn(process, 'platform', 'get').mockReturnValue('darwin');
    try {
      expect(limitIssues({ open_files: 100 }, place, 'limits of a')).toEqual([
        {
          ...place,
          message: 'limits of a: open_files is kept on Linux only',
          hint: 'leave it out, and use `ulimit -n` before the start',
        },
      ]);
    } finally {
      platform.mockRestore();
    }
  });

  it.runIf(process.platform === 'linux')('that ask for more than another user may have are refused', () => {
    const [issue] = limitIssues({ open_files: 1_048_576 }, place, 'limits of a', true);
    expect(issue?.message).toMatch(/^limits of a: open_files is more than the \d+ that this user may have$/);
  });

  it.each([{ memory_mb: 1 }, { open_files: 3 }, { nice: 20 }, { stop_grace_ms: -1 }, { cpu: 2 }])(
    'are checked: %o',
    (limits) => {
      expect(serviceLimitsSchema.safeParse(limits).success).toBe(false);
    },
  );
});
