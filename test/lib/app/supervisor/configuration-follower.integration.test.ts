import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { followConfiguration } from '../../../../src/lib/app/supervisor/configuration-follower.ts';
import type { Supervisor } from '../../../../src/lib/app/supervisor/supervisor.ts';
import { AppError } from '../../../../src/lib/shared/errors.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { until } from '../../../helpers/until.ts';

class Refused extends AppError {
  readonly code = 'PRECONDITION';
}

it.each([
  ['brought into force', undefined],
  ['refused', new Refused('A port is taken')],
])(
  'reads again what changed while it went over to another folder, after what was %s',
  async (_, refusal) => {
    await using folder = await temporaryFolder();
    const [profile, elsewhere] = [join(folder.path, 'profile.yaml'), join(folder.path, 'elsewhere')];
    await writeFile(profile, '');
    let paths = [profile];
    let read = 0;
    const supervisor = {
      closing: new AbortController().signal,
      booted: async () => undefined,
      fence: { held: async () => undefined },
      reconcile: async () => {
        read += 1;
        if (read > 1) return;
        // The profile names another folder now; a file comes into it as soon as that is known.
        paths = [profile, elsewhere];
        await mkdir(elsewhere);
        await writeFile(join(elsewhere, 'a.yaml'), '');
        if (refusal !== undefined) throw refusal;
      },
    } as unknown as Supervisor;
    const log = { error: (about: object) => expect.fail(String(about)) } as never;
    const end = await followConfiguration(supervisor, () => paths, log);
    await writeFile(profile, 'paths: { services: elsewhere }');
    await until('it is read again', () => read > 1);
    await end();
  },
  20_000,
);
