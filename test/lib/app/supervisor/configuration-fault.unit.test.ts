import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { configurationFault } from '../../../../src/lib/app/supervisor/service-status.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

it("tells a module's failure in words and with its place, not as the raw line of the log", async () => {
  await using folder = await temporaryFolder();
  const log = join(folder.path, 'run.log');
  const configuredAt = 'services/mcp/alpha.yaml:3:13';
  expect(configurationFault({ configuredAt }, log)).toBe(`${configuredAt}: it found its configuration invalid`);
  await appendFile(log, 'a line of the extension itself\n');
  expect(configurationFault({}, log)).toBe('it found its configuration invalid: a line of the extension itself');
  await appendFile(log, '{"level":60,"time":1,"msg":"index.js could not be loaded: no such table"}\n    at a stack\n');
  expect(configurationFault({ configuredAt }, log)).toBe(
    `${configuredAt}: it found its configuration invalid: index.js could not be loaded: no such table`,
  );
});
