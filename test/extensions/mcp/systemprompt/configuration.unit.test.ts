import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { server } from '../../../../extensions/mcp/systemprompt/index.ts';
import { loadServices } from '../../../../src/lib/app/config/load-services.ts';

const project = join(import.meta.dirname, '../../../..');

describe('what is said of the systemprompt server in several places', () => {
  it('agrees', async () => {
    const config = (await loadServices({ servicesDir: join(project, 'services') })).mcpServers.find(
      ({ name }) => name === 'systemprompt',
    );
    const manifest = parse(readFileSync(join(project, 'extensions/mcp/systemprompt/manifest.yaml'), 'utf8'));
    expect(config).toMatchObject({
      module: 'extensions/mcp/systemprompt',
      delegate: true,
      oauth: { scopes: ['user'] },
    });
    expect(manifest.extension).toMatchObject({ name: server.name, port: config?.port });
    expect(
      [...(config?.tools.keys() ?? [])].filter((name) => !server.tools.some((tool) => tool.name === name)),
    ).toEqual([]);
  });
});
