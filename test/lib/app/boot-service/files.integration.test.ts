import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BootService } from '../../../../src/lib/app/boot-service/description.ts';
import { runtimeDirOf } from '../../../../src/lib/app/boot-service/manager.ts';
import { isOurs } from '../../../../src/lib/app/boot-service/marker.ts';
import { bootFile, bootFileContent } from '../../../../src/lib/app/boot-service/service.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const hostile = 'a b%h "q" $HOME é\\x <&> \'s';
const instanceId = '3f2b8a1e-0000-4000-8000-123456789abc';
const service = (root: string, user?: string): BootService => ({
  instanceId,
  root,
  profile: 'local',
  user,
  command: [process.execPath, '--no-opt', join(root, 'main.js'), '--log-file'],
  path: `/opt/${hostile}/bin:/usr/bin`,
});

describe('the systemd unit', () => {
  const name = 'systemprompt-3f2b8a1e.service';
  const unit = (root: string, user?: string) => bootFileContent({ manager: 'systemd', name }, service(root, user));
  const verifiable = spawnSync('systemd-analyze', ['--version']).status === 0;
  const systemd = '/lib/systemd/systemd';
  // It refuses to be tried out as root, so root does it as nobody.
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

  it.skipIf(!verifiable)('is one that systemd finds no fault with (needs systemd-analyze)', async () => {
    await using folder = await temporaryFolder();
    const root = join(folder.path, hostile);
    await mkdir(root);
    for (const user of [undefined, 'daemon']) {
      const file = join(folder.path, name);
      await writeFile(file, unit(root, user));
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
      expect(stderr.split('\n').filter((line) => line.includes(name))).toEqual([]);
      expect(status).toBe(0);
    }
  });

  it.skipIf(!existsSync(systemd))('says to systemd what it was to say, whatever the path (needs systemd)', async () => {
    await using folder = await temporaryFolder();
    await chmod(folder.path, 0o777);
    const root = join(folder.path, hostile);
    await writeFile(join(folder.path, name), unit(root), { mode: 0o644 });
    const { stdout } = spawnSync(systemd, ['--test', '--user', `--unit=${name}`], {
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'],
        HOME: folder.path,
        XDG_RUNTIME_DIR: folder.path,
        SYSTEMD_UNIT_PATH: `${folder.path}:/usr/lib/systemd/user`,
      },
      ...nobody,
    });
    const dump = stdout.slice(stdout.indexOf(`-> Unit ${name}`));
    const value = (label: string): string[] =>
      [...dump.matchAll(new RegExp(`^\\s*${label}: (.*)$`, 'gm'))].map(([, text]) => text ?? '');
    expect(value('WorkingDirectory')[0]).toBe(root);
    expect(value('Environment').slice(0, 3)).toEqual([
      `SYSTEMPROMPT_ROOT=${root}`,
      'SYSTEMPROMPT_PROFILE=local',
      `PATH=/opt/${hostile}/bin:/usr/bin`,
    ]);
    // It shows words in quotes, escaped as for a shell; variables are put in when it runs, and until then `$$` stands for `$`.
    const [, main = ''] = /--no-opt "(.*)" --log-file$/.exec(value('Command Line')[0] ?? '') ?? [];
    expect(main.replaceAll(/\\(.)/g, '$1').replaceAll('$$', () => '$')).toBe(join(root, 'main.js'));
    expect(value('KillMode')[0]).toBe('process');
    expect(value('Type')[0]).toBe('notify');
    expect(value('NotifyAccess')[0]).toBe('all');
    expect(value('WatchdogSec')[0]).toBe('1min');
    expect(value('TimeoutStopSec')[0]).toBe('1min 30s');
  });

  it('runs as a user for the machine, as the user itself for the user', () => {
    expect(unit('/srv/app', 'app')).toMatch(/^User=app$/m);
    expect(unit('/srv/app', 'app')).toMatch(/^WantedBy=multi-user.target$/m);
    expect(unit('/srv/app')).not.toContain('User=');
    expect(unit('/srv/app')).toMatch(/^WantedBy=default.target$/m);
  });

  it('is known again by its first line, for its own instance only', () => {
    expect(isOurs(unit('/srv/app'), instanceId)).toBe(true);
    expect(isOurs(unit('/srv/app'), '00000000-0000-4000-8000-000000000000')).toBe(false);
    expect(isOurs('[Unit]\nDescription=mine\n', instanceId)).toBe(false);
  });

  it('is not written for a path that it can not hold', () => {
    expect(() => unit('/srv/two\nExecStartPre=/bin/evil')).toThrow(/control characters/);
  });
});

describe('the launchd property list', () => {
  it('is well-formed and says what it was to say, whatever the path', () => {
    const root = `/Users/${hostile}`;
    const file = bootFile(instanceId, 'user', {}, 'darwin');
    const text = bootFileContent(file, service(root, 'app'));
    expect(file.path).toMatch(/Library\/LaunchAgents\/ai\.systemprompt\.3f2b8a1e\.plist$/);
    expect(parsePlist(text)).toMatchObject({
      Label: 'ai.systemprompt.3f2b8a1e',
      ProgramArguments: [process.execPath, '--no-opt', `${root}/main.js`, '--log-file'],
      UserName: 'app',
      WorkingDirectory: root,
      EnvironmentVariables: { SYSTEMPROMPT_ROOT: root, SYSTEMPROMPT_PROFILE: 'local' },
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      AbandonProcessGroup: true,
      ExitTimeOut: 90,
      Umask: 63,
      SoftResourceLimits: { NumberOfFiles: 65_536 },
    });
    expect(isOurs(text, instanceId)).toBe(true);
  });
});

/** A strict reader of the part of XML that property lists use: every tag is closed, every text belongs to a leaf. */
function parsePlist(text: string): unknown {
  const tokens = [
    ...text.matchAll(/<\?[^>]*\?>|<!--(?:(?!--).)*-->|<!DOCTYPE[^>]*>|<(\/?)(\w+)([^<>]*?)(\/?)>|[^<]+/gs),
  ];
  expect(tokens.map(([token]) => token).join('')).toBe(text);
  const parts = tokens.filter(([token]) => !/^(<[?!]|\s+$)/.test(token));
  const take = (): RegExpMatchArray => parts.shift() ?? expect.fail('the end came too soon');
  const close = (name: string): void => expect(take()[0]).toBe(`</${name}>`);
  const leaf = (name: string): string => {
    const content = parts[0]?.[2] === undefined ? take()[0] : '';
    close(name);
    expect(content).not.toMatch(/&(?!(amp|lt|gt|quot|apos);)/);
    return content.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
  };
  const value = (): unknown => {
    const [, , name = '', , empty] = take();
    if (empty === '/') return name === 'true';
    if (name === 'string' || name === 'key') return leaf(name);
    if (name === 'integer') return Number(leaf(name));
    const items: unknown[] = [];
    while (parts[0]?.[1] !== '/') items.push(value());
    close(name);
    if (name !== 'dict') return name === 'plist' ? items[0] : items;
    return Object.fromEntries(items.flatMap((item, at) => (at % 2 === 0 ? [[item, items[at + 1]]] : [])));
  };
  const parsed = value();
  expect(parts).toEqual([]);
  return parsed;
}

describe('the manager of the user', () => {
  it('is found from a shell that was not logged in to', async () => {
    await using folder = await temporaryFolder();
    expect(runtimeDirOf({}, folder.path)).toBeUndefined();
    const usual = join(folder.path, String(process.getuid?.()));
    await mkdir(usual);
    expect(runtimeDirOf({}, folder.path)).toBe(usual);
    expect(runtimeDirOf({ XDG_RUNTIME_DIR: '/somewhere/else' }, folder.path)).toBe('/somewhere/else');
  });
});
