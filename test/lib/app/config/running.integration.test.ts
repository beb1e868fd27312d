import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadEffective } from '../../../../src/lib/app/config/effective.ts';
import { configurationDifferences, runningConfiguration } from '../../../../src/lib/app/config/running.ts';
import { SupervisorClient } from '../../../../src/lib/app/supervisor/client.ts';
import { createControlServer } from '../../../../src/lib/app/supervisor/control.ts';
import { ensureRuntimeDir } from '../../../../src/lib/infra/config/runtime-dir.ts';
import { configProject, profilePath, serverYaml } from '../../../helpers/config-project.ts';

describe('configurationDifferences', () => {
  it('compares what a supervisor tells with the files as they are now', async () => {
    await using project = await configProject({ 'services/mcp/crm.yaml': serverYaml('crm', 5005) });
    const { instance } = project;
    const { profile, services } = await loadEffective(instance, 'local', {});
    const loadedAt = '2026-01-31T12:00:00.000Z';
    let answer: unknown = { profile, services, loadedAt };
    await mkdir(instance.runDir, { recursive: true });
    await ensureRuntimeDir(instance);
    const server = createControlServer({
      routes: [{ method: 'GET', path: '/v1/configuration', input: z.object({}), handle: async () => answer }],
      streams: [],
      onFault: (error) => {
        throw error;
      },
    });
    server.listen(instance.controlSocket);
    await once(server, 'listening');
    const client = await SupervisorClient.connect(instance.controlSocket);
    try {
      const running = await runningConfiguration(client);
      expect(running.loadedAt).toBe(loadedAt);
      const differences = async () => configurationDifferences(running, await loadEffective(instance, 'local', {}));
      expect(await differences()).toEqual([]);

      await writeFile(join(project.path, profilePath), 'server: { port: 8085, workers: 2 }\n');
      await writeFile(
        join(project.path, 'services/mcp/crm.yaml'),
        serverYaml('crm', 5005).replace('crm:', 'sales:').replace('port: 5005', 'port: 5006'),
      );
      const found = await differences();
      expect(found).toContainEqual({ path: 'server.workers', running: 1, files: 2 });
      expect(found).toContainEqual({
        path: 'server.external_url',
        running: 'http://localhost:8080',
        files: 'http://localhost:8085',
      });
      expect(found).toContainEqual({ path: 'mcp_servers.crm.port', running: 5005, files: undefined });
      expect(found).toContainEqual({ path: 'mcp_servers.sales.port', running: undefined, files: 5006 });

      answer = { profile: 7 };
      await expect(runningConfiguration(client)).rejects.toThrow('in a way that this version does not know');
    } finally {
      client.close();
      server.close();
    }
  });
});
