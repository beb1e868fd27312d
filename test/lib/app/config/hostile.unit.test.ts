import { spawnSync } from 'node:child_process';
import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { loadServices } from '../../../../src/lib/app/config/load-services.ts';
import { ConfigInvalidError } from '../../../../src/lib/shared/errors.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

// What is too large, or too many files, to be kept in test/fixtures/config/broken.

type Make = (services: string) => Promise<void>;

const kB = 1024;
const levels = 'abcdefghijk'.split('');

const text =
  (content: string | Uint8Array, name = 'mcp/a.yaml'): Make =>
  async (services) => {
    await mkdir(dirname(join(services, name)), { recursive: true });
    await writeFile(join(services, name), content);
  };

/** As full as the largest file may be. */
const full = (unit: string) => unit.repeat(Math.floor((128 * kB) / unit.length));

const cases: readonly (readonly [name: string, make: Make, first: RegExp])[] = [
  ['50 MB of text', text(Buffer.alloc(50 * kB * kB, 'a: b\n')), /^mcp\/a\.yaml:1:1 is larger than 128 kB/],
  [
    '100 GB of nothing',
    async (services) => {
      await text('')(services);
      await using file = await open(join(services, 'mcp/a.yaml'), 'r+');
      await file.truncate(100 * kB * kB * kB);
    },
    /^mcp\/a\.yaml:1:1 is larger than 128 kB/,
  ],
  [
    'aliases that unfold',
    text(
      levels
        .map((name, at) => `${name}: &${name} [${Array(9).fill(at === 0 ? 'x' : `*${levels[at - 1]}`)}]`)
        .join('\n'),
    ),
    /^mcp\/a\.yaml:2:8 the aliases unfold into too much/,
  ],
  ['many aliases', text(`a: &a x\nb: [${'*a,'.repeat(40 * kB)}]\n`), /^mcp\/a\.yaml:2:3005 more than 1000 aliases/],
  ['deep brackets', text(full('[')), /^mcp\/a\.yaml:1:\d+ /],
  ['deep closed brackets', text('['.repeat(60 * kB) + ']'.repeat(60 * kB)), /^mcp\/a\.yaml:1:\d+ .*nested too deeply/],
  ['deep braces', text(full('{a: ')), /^mcp\/a\.yaml:1:\d+ /],
  ['deep lists', text(full('- ')), /^mcp\/a\.yaml:1:\d+ /],
  [
    'deep indentation',
    text(Array.from({ length: 480 }, (_, at) => `${' '.repeat(at)}a:`).join('\n')),
    /^mcp\/a\.yaml:1:1 /,
  ],
  [
    'many names',
    text(Array.from({ length: 11_000 }, (_, at) => `k${at}: 1`).join('\n')),
    /^mcp\/a\.yaml:1:1 `k0` is not/,
  ],
  ['many names in braces', text(`a: {${'b,'.repeat(60 * kB)}}`), /^mcp\/a\.yaml:1:1 `a` is not known/],
  ['one name often', text(full('name: x\n')), /^mcp\/a\.yaml:1:1 `name` is not known/],
  ['a fault a line', text(full('a: @x\n')), /^mcp\/a\.yaml:1:4 a value can't begin like this/],
  ['directives only', text(full('%\n')), /^mcp\/a\.yaml:1:1 a line that begins with %/],
  ['quotes only', text(full('"')), /^mcp\/a\.yaml:1:\d+ /],
  ['anchors only', text(full('&a ')), /^mcp\/a\.yaml:1:\d+ /],
  ['tags only', text(full('!a ')), /^mcp\/a\.yaml:1:\d+ /],
  ['line ends only', text(full('\n')), /^mcp\/a\.yaml:\d+:1 the file is empty/],
  ['one long line', text(`mcp_servers: ${'x'.repeat(120 * kB)}\n`), /^mcp\/a\.yaml:1:14 `mcp_servers` must be a map/],
  [
    'references to nothing, often',
    text(
      `agents:\n  helper:\n    port: 9001\n    card: {description: d}\n    metadata: {skills: [${'none,'.repeat(5000)}]}\n`,
      'agents/a.yaml',
    ),
    /^agents\/a\.yaml:5:25 there is no skill `none`/,
  ],
  [
    'a named pipe',
    async (services) => {
      await mkdir(join(services, 'mcp'), { recursive: true });
      expect(spawnSync('mkfifo', [join(services, 'mcp/a.yaml')]).status).toBe(0);
    },
    /^mcp\/a\.yaml:1:1 is no regular file/,
  ],
  [
    'a prompt of 50 MB',
    async (services) => {
      await text(Buffer.alloc(50 * kB * kB, 'a'), 'agents/long.md')(services);
      await text(
        'agents:\n  helper:\n    port: 9001\n    card: {description: d}\n    metadata: {system_prompt: !include long.md}\n',
        'agents/a.yaml',
      )(services);
    },
    /^agents\/long\.md:1:1 is larger than 256 kB/,
  ],
  [
    'a circle of 200 files',
    async (services) => {
      await text('includes: [../part/0.yaml]\n', 'config/config.yaml')(services);
      for (let at = 0; at < 200; at += 1)
        await text(`includes: [${(at + 1) % 200}.yaml]\n`, `part/${at}.yaml`)(services);
    },
    /^part\/199\.yaml:1:12 the include `0\.yaml` leads back to where it came from: part\/0\.yaml → part\/1\.yaml → .* → part\/199\.yaml → part\/0\.yaml/,
  ],
  [
    'more includes than anybody has',
    text(`includes: [${'a.yaml,'.repeat(2000)}]\n`, 'config/config.yaml'),
    /^config\/config\.yaml:1:11 `includes` must have at most 500 entries/,
  ],
  [
    'a folder of links to itself',
    async (services) => {
      await text('includes: [x/x/x/x/../../../../../mcp/none.yaml]\n', 'config/config.yaml')(services);
      await symlink('.', join(services, 'config/x'));
    },
    /^config\/config\.yaml:1:12 the include `x\/x\/x\/x\/.*` names .*mcp\/none\.yaml, which does not exist/,
  ],
];

it.each(cases)('%s', async (_, make, first) => {
  await using folder = await temporaryFolder();
  await make(folder.path);
  const started = performance.now();
  const usage = process.cpuUsage();
  const error: unknown = await loadServices({ servicesDir: folder.path }).catch((reason: unknown) => reason);
  const { user, system } = process.cpuUsage(usage);
  // On a busy machine the time of the processor is what it took.
  expect(Math.min(performance.now() - started, (user + system) / 1000)).toBeLessThan(1000);
  if (!(error instanceof ConfigInvalidError)) throw error;
  const lines = error.issues.map(({ file, line, column, message, hint }) => {
    expect(hint).toMatch(/\S/);
    return `${file}:${line}:${column} ${message}`.replaceAll(`${folder.path}/`, '');
  });
  expect(lines[0]).toMatch(first);
  expect(lines.join('\n').length).toBeLessThan(500_000);
});
