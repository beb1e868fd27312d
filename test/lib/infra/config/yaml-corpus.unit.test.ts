import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { profileFileSchema } from '../../../../src/lib/infra/config/profile-schema.ts';
import { parseYamlText } from '../../../../src/lib/infra/config/yaml.ts';

/** A broken text and its findings: `line:column message`, with ` | hint` where the hint matters. */
type Case = readonly [name: string, text: string, ...findings: string[]];

const grammar: readonly Case[] = [
  ['a tab that indents', 'server:\n\tport: 1\n', "2:1 a tab can't indent"],
  ['an open bracket', 'server: [1, 2\n', '1:9 the bracket `[` is never closed'],
  ['an open brace before more fields', 'name: x\nserver: {port: 1\nlimits:\n', '2:9 the brace `{` is never closed'],
  ['nested open brackets', 'a:\n  - [1, {b: 2\n', '2:5 the bracket `[` is never closed'],
  ['an open double quote', 'name: "abc\nserver: x\n', '1:7 the quote `"` is never closed'],
  ['an open single quote', "name: 'abc\n", "1:7 the quote `'` is never closed"],
  ['a quote within a quote', "name: 'it's'\n", '1:11 more follows after the value'],
  ['two colons in a line', 'a: b: c\n', '1:4 a field begins inside a value'],
  ['a second document', 'name: local\n---\nname: b\n', '2:1 a second document begins here'],
  ['a document after an end', 'name: x\n...\nfoo: 1\n', '3:1 a second document begins here'],
  ['an alias with an anchor', 'name: &n *m\n', '1:10 an alias can have no tag or anchor of its own'],
  ['an unknown tag', 'name: !foo x\n', '1:7 an unknown tag (!)'],
  ['a tag that does not fit', 'name: !!int x\n', '1:7 an unknown tag (!)'],
  ['another YAML version', '%YAML 1.1\n---\nname: yes\n', '1:1 the file is not YAML 1.2'],
  ['an unknown directive', '%FOO\n---\nname: x\n', '1:1 a line that begins with % is no directive of YAML 1.2'],
  ['an unknown escape', 'name: "\\q"\n', '1:8 no such escape in double quotes'],
  ['a reserved beginning', 'name: @x\n', "1:7 a value can't begin like this"],
  ['a field out of line', 'server:\n  port: 1\n host: x\n', '3:1 not indented as its surroundings are'],
  ['a list among fields', 'name: x\n- a\n', '2:1 a list item stands among fields'],
  ['a name without a colon', 'server:\n  port: 1\nname\n', '3:1 a name without a value'],
  ['two commas', 'server: {port: 1,, }\n', '1:18 this is not expected here'],
  ['a lone brace', 'server: }\n', '1:9 this is not expected here'],
  ['a bracket too many', 'name: [a, b]]\n', '1:13 this is not expected here'],
  ['a map as a name', '? [a]\n: b\n', "1:3 a list or map can't be a name"],
  ['two anchors', 'name: &a &b x\n', '1:10 a value has two anchors'],
  ['a bad block header', 'name: |x\n', '1:8 this is not expected here'],
  [
    'three faults in three lines',
    'a: "\\q"\nb: @x\nc: !foo x\n',
    '1:5 no such escape',
    "2:4 a value can't begin",
    '3:4 an unknown tag',
  ],
];

const structure: readonly Case[] = [
  ['a name twice', 'name: local\nname: local\n', '2:1 `name` is there twice | The first is in line 1'],
  ['a name twice in braces', 'server: {port: 1, port: 2}\n', '1:19 `port` is there twice'],
  [
    'a name twice and an unknown one',
    'server:\n  port: 8080\n  port: 8081\n  prot: 1\n',
    '3:3 `port` is there twice',
    '4:3 `prot` is not known in `server` | did you mean `port`?',
  ],
  ['an alias to nothing', 'name: *x\n', '1:7 the alias `x` stands for nothing'],
  ['an alias before its anchor', 'name: *x\nserver: &x y\n', '1:7 the alias `x` stands for nothing'],
  ['an alias that holds itself', 'server: &a [*a]\n', '1:13 the alias `a` holds itself'],
  ['a merge key', 'server:\n  <<: {port: 1}\n', '2:3 merge keys (`<<`) are not supported'],
  ['a name that JavaScript knows', 'server:\n  __proto__: {port: 1}\n', "2:3 `__proto__` can't be a name"],
];

const meaning: readonly Case[] = [
  ['nothing', '', '1:1 the file is empty and must be a map of fields'],
  ['only a comment', '# nothing\n', '1:1 the file is empty'],
  ['a list at the top', '- a\n- b\n', '1:1 the file must be a map of fields, not a list'],
  ['a text at the top', '\n\njust text\n', '3:1 the file must be a map of fields, not text'],
  ['an unknown name', 'server:\n  prot: 8080\n', '2:3 `prot` is not known in `server` | did you mean `port`?'],
  [
    'an unknown name at the top',
    '# c\nServer:\n  port: 1\n',
    '2:1 `Server` is not known here | did you mean `server`?',
  ],
  ['a name like no other', 'zzz: 1\n', '1:1 `zzz` is not known here | known here: name, display_name'],
  [
    'a name in another spelling',
    'security: {accessTokenTtlSeconds: 5}\n',
    '1:12 `accessTokenTtlSeconds` is not known in `security` | did you mean `access_token_ttl_seconds`?',
  ],
  ['a name that a terminal would obey', '"na\\u001bme": 1\n', '1:1 `na\\u{1b}me` is not known here'],
  [
    'a name in a map that was meant to be indented',
    'server:\nport: 1\n',
    '1:1 `server` is empty',
    '2:1 `port` is not known here',
  ],
  [
    'a number in quotes',
    'server:\n  port: "8080"\n',
    '2:9 `server.port` must be a number, not text | write it without quotes',
  ],
  [
    'text that is a number',
    'server:\n  host: 5\n',
    '2:9 `server.host` must be text, not a whole number | put it in quotes',
  ],
  ['a number too small', 'server:\n  port: 0\n', '2:9 `server.port` must be at least 1'],
  ['a number too large', 'server:\n  port:   70000 # c\n', '2:11 `server.port` must be at most 65535'],
  ['a fraction', 'server:\n  port: 80.5\n', '2:9 `server.port` must be a whole number, not a fraction'],
  ['a value left out', 'server:\n  port:\n  host: x\n', '2:3 `server.port` is empty and must be a number'],
  ['a list for a map', 'server: []\n', '1:9 `server` must be a map of fields, not a list'],
  ['a range as text', 'ports:\n  mcp: 5000-5999\n', '2:8 `ports.mcp` must be a list, not text'],
  ['a range of one', 'ports:\n  mcp: [5000]\n', '2:8 `ports.mcp` must have at least 2 entries'],
  ['a range of three', 'ports:\n  mcp: [5000, 5001, 5002]\n', '2:8 `ports.mcp` must have at most 2 entries'],
  [
    'a range backwards',
    'ports:\n  mcp: [6000, 5000]\n',
    '2:8 `ports.mcp` must begin with the lower port | write it as [5000',
  ],
  ['an entry of a range', 'ports:\n  mcp:\n    - 10\n    - 5000\n', '3:7 `ports.mcp[0]` must be at least 1024'],
  [
    'a near value',
    'runtime:\n  log_level: inf\n',
    '2:14 `runtime.log_level` must be one of: trace, | did you mean `info`?',
  ],
  ['a YAML 1.1 boolean', 'runtime:\n  log_level: no\n', '2:14 `runtime.log_level` must be one of: trace'],
  [
    'another kind of address',
    'server:\n  external_url: ftp://x\n',
    '2:17 `server.external_url` must be an http or https address',
  ],
  ['an address with a path', 'server:\n  external_url: http://x/\n', '2:17 `server.external_url` must be'],
  ['another database', 'database: {url: "mysql://x/y"}\n', '1:17 `database.url` must be a postgres:// address'],
  ['a broken reference', 'database:\n  url: ${secret:a b}\n', '2:8 `database.url` must be'],
  ['behind an alias', 'server: &s {port: 1}\nsecurity: *s\n', '1:13 `port` is not known in `security`'],
  ['Windows line ends', 'name: x\r\nserver:\r\n  prot: 1\r\n', '3:3 `prot` is not known in `server`'],
  [
    'five faults at once',
    'name: X\nserver:\n  port: no\n  hots: a\nruntime: {log_level: loud}\nsecurty: {}\n',
    '1:7 `name` must have lower-case letters',
    '3:9 `server.port` must be a number, not text',
    '4:3 `hots` is not known in `server` | did you mean `host`?',
    '5:22 `runtime.log_level` must be one of',
    '6:1 `securty` is not known here | did you mean `security`?',
  ],
];

const record = z.strictObject({
  servers: z.record(
    z.string().regex(/^[a-z]+$/, 'must be lower case'),
    z.strictObject({
      port: z.int(),
      enabled: z.boolean(),
      mode: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('file'), path: z.string() }),
        z.strictObject({ kind: z.literal('remote'), address: z.string() }),
      ]),
      source: z.union([z.string(), z.strictObject({ instance: z.string() })]).optional(),
    }),
  ),
});
const good = 'port: 1, enabled: true, mode: {kind: file, path: x}';

const shapes: readonly Case[] = [
  ['a missing field', 'servers:\n  a:\n    port: 1\n    enabled: true\n', '3:5 `servers.a.mode` is missing'],
  [
    'a missing field in braces',
    `servers:\n  a: {port: 1, mode: {kind: file, path: x}}\n`,
    '2:6 `servers.a.enabled` is missing',
  ],
  ['a missing map', '{}\n', '1:1 `servers` is missing'],
  ['a bad name in a map', `servers:\n  a1: {${good}}\n`, '2:3 the name `a1` must be lower case'],
  [
    'a boolean as text',
    `servers:\n  a: {port: 1, enabled: yes, mode: {kind: file, path: x}}\n`,
    '2:25 `servers.a.enabled` must be true or false, not text | write true or false',
  ],
  [
    'an unknown kind',
    `servers:\n  a: {port: 1, enabled: true, mode: {kind: fil}}\n`,
    '2:44 `servers.a.mode.kind` must be one of: file, remote',
  ],
  [
    'a field of the other kind',
    `servers:\n  a: {port: 1, enabled: true, mode: {kind: remote, address: x, path: y}}\n`,
    '2:64 `path` is not known in `servers.a.mode` | it belongs to another form',
  ],
  [
    'none of two forms',
    `servers:\n  a: {${good}, source: 5}\n`,
    '2:68 `servers.a.source` is none of the forms that it can have',
  ],
  [
    'almost one of two forms',
    `servers:\n  a: {${good}, source: {instanse: x}}\n`,
    '2:69 `instanse` is not known in `servers.a.source` | did you mean `instance`?',
  ],
];

function findings(text: string, schema: z.ZodType): string[] {
  const result = parseYamlText(text, 'x.yaml', schema);
  if (!('issues' in result)) return [];
  return result.issues.map(({ file, line, column, message, hint }) => {
    expect(file).toBe('x.yaml');
    return `${line}:${column} ${message} | ${hint ?? ''}`;
  });
}

function verify(text: string, expected: readonly string[], schema: z.ZodType): void {
  const found = findings(text, schema);
  expect(found).toHaveLength(expected.length);
  for (const [index, line] of expected.entries()) {
    const [start = '', hint = ''] = line.split(' | ');
    expect(found[index]).toSatisfy((text: string) => text.startsWith(start), `${found[index]} begins with ${start}`);
    expect(found[index]?.split(' | ')[1]).toContain(hint);
  }
}

describe('a broken file is refused with the place of each fault', () => {
  it.each(grammar)('grammar: %s', (_, text, ...expected) => verify(text, expected, profileFileSchema));
  it.each(structure)('structure: %s', (_, text, ...expected) => verify(text, expected, profileFileSchema));
  it.each(meaning)('meaning: %s', (_, text, ...expected) => verify(text, expected, profileFileSchema));
  it.each(shapes)('shape: %s', (_, text, ...expected) => verify(text, expected, record));
});

describe('a hostile file is refused in bounded time and words', () => {
  const levels = 'abcdefghijk'.split('');
  const bomb = levels.map(
    (name, level) => `${name}: &${name} [${Array(9).fill(level === 0 ? 'x' : `*${levels[level - 1]}`)}]`,
  );
  const hostile: readonly (readonly [string, string, RegExp])[] = [
    ['aliases that unfold', bomb.join('\n'), /^2:8 the aliases unfold into too much/],
    ['very many aliases', `a: &a x\nb: [${'*a,'.repeat(40_000)}]\n`, /^2:3005 more than 1000 aliases/],
    ['deep brackets', '['.repeat(100_000), /^1:\d+ (the bracket|nested too deeply|the file is nested)/],
    ['deep braces', '{a: '.repeat(30_000), /^1:\d+ (the brace|nested too deeply|the file is nested)/],
    ['deep lists', '- '.repeat(60_000), /^1:\d+ /],
    [
      'very many names',
      Array.from({ length: 11_000 }, (_, index) => `k${index}: 1`).join('\n'),
      /^1:1 `k0` is not known here/,
    ],
    ['one name very often', 'name: x\n'.repeat(16_000), /^2:1 `name` is there twice/],
    ['very long lines', `name: ${'x'.repeat(120_000)}\n`, /^1:7 `name` must have/],
  ];
  it.each(hostile)('%s', (_, text, first) => {
    const started = performance.now();
    const found = findings(text, profileFileSchema);
    expect(performance.now() - started).toBeLessThan(8000);
    expect(found[0]).toMatch(first);
    expect(found.length).toBeLessThanOrEqual(101);
    expect(found.join('\n').length).toBeLessThan(30_000);
  });
});

describe('a message never quotes a value', () => {
  const canary = 'CANARY-hunter2';
  const texts = [...grammar, ...structure, ...meaning].map(([name, text]) => [name, text] as const);
  it.each([
    ...texts.map(
      ([name, text]) => [name, text.replaceAll(/(?<=[:[,] ?"?)(x|abc|a|b|5|no|loud|text)\b/g, canary)] as const,
    ),
    [
      'a value in every field',
      `name: ${canary}\nserver: {host: "${canary} ", port: ${canary}}\ndatabase: {url: ${canary}}\nruntime: {log_level: ${canary}}\n`,
    ] as const,
    ['a literal with a password', `database: {url: "mysql://u:${canary}@h/d"}\n`] as const,
    ['a broken quote', `name: "${canary}\n`] as const,
    ['what follows a quote', `name: "x" ${canary}\n`] as const,
    ['an escape', `name: "${canary}\\q"\n`] as const,
  ])('%s', (_, text) => {
    expect(findings(text, profileFileSchema).join('\n')).not.toContain('hunter2');
  });
});
