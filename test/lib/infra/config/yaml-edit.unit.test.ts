import { chmod, lstat, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Document, isCollection, parse, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { editYaml } from '../../../../src/lib/infra/config/yaml-edit.ts';
import { dottedPath, parseDottedPath } from '../../../../src/lib/infra/config/yaml-path.ts';
import { editYamlText, type YamlChange } from '../../../../src/lib/infra/config/yaml-splice.ts';
import { ConfigInvalidError, UsageError } from '../../../../src/lib/shared/errors.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

function set(text: string, path: string, value: unknown): string {
  return editYamlText(text, 'f.yaml', [{ path: parseDottedPath(path) ?? [], value }]);
}

function unset(text: string, path: string): string {
  return editYamlText(text, 'f.yaml', [{ path: parseDottedPath(path) ?? [], unset: true }]);
}

const PROFILE = `# head
name: local   # the folder's

server:
  host:   "localhost"
  port: 8080 # TCP
  # The address that clients use:
  # external_url: https://prompt.example.com

# last
ports: { mcp: [5000, 5999], agents: [9000, 9999] }
`;

describe('editYamlText sets', () => {
  it.each([
    ['a number, its comment stays', 'server.port', 9000, 'port: 8080', 'port: 9000'],
    ['text in the quotes and the column it had', 'server.host', '0.0.0.0', '"localhost"', '"0.0.0.0"'],
    ['an entry in brackets', 'ports.mcp[1]', 5099, '5999', '5099'],
    ['a list entry by entry', 'ports.agents', [9000, 9100], '9999', '9100'],
  ])('%s', (_, path, value, from, to) => {
    expect(set(PROFILE, path, value)).toBe(PROFILE.replace(from, to));
  });

  it('adds a field below its siblings and what is noted below them', () => {
    expect(set(PROFILE, 'server.external_url', 'https://a.example')).toBe(
      PROFILE.replace('example.com\n', 'example.com\n  external_url: https://a.example\n'),
    );
  });

  it('adds the maps on the way', () => {
    expect(set(PROFILE, 'security.jwt.issuer', 'x')).toBe(`${PROFILE}security:\n  jwt:\n    issuer: x\n`);
    expect(set(PROFILE, 'ports.x.y', 1)).toBe(PROFILE.replace('9999] }', '9999], x: { y: 1 } }'));
  });

  it.each([
    ['', 'a.b', 1, 'a:\n  b: 1\n'],
    ['# only\n', 'a', 1, '# only\na: 1\n'],
    ['# c\n{}\n', 'a.b', 1, '# c\na:\n  b: 1\n'],
    ['a:\n', 'a.b', 1, 'a:\n  b: 1\n'],
    ['a: # c\nz: 1\n', 'a.b', 1, 'a: # c\n  b: 1\nz: 1\n'],
    ['a: ~\n', 'a.b', 1, 'a:\n  b: 1\n'],
    ['a: {}\n', 'a.b', 1, 'a: { b: 1 }\n'],
    ['a: 1 # c\n', 'a', { x: [1] }, 'a: # c\n  x:\n    - 1\n'],
    ['a: # c\n  x: 1\nb: 2\n', 'a', 5, 'a: 5 # c\nb: 2\n'],
    ['a: |\n  x\n  y\n\nb: 2\n', 'a', 'one', 'a: one\n\nb: 2\n'],
    ['a: >- # c\n  x\n\n  y\nb: 2\n', 'a', 'l1\nl2\n', 'a: | # c\n  l1\n  l2\nb: 2\n'],
    ['a: x # c\n', 'a', 'l1\nl2', 'a: |- # c\n  l1\n  l2\n'],
    ['l:\n- 1 # one\n- 2\n', 'l[2]', { k: 'v', w: 1 }, 'l:\n- 1 # one\n- 2\n- k: v\n  w: 1\n'],
    ['l:\n  - a: 1 # c\n    b: 2\n', 'l[0].c', 3, 'l:\n  - a: 1 # c\n    b: 2\n    c: 3\n'],
    ['l:\n  - 1\n  -\n', 'l[1]', 2, 'l:\n  - 1\n  - 2\n'],
    ['l: []\n', 'l[0]', 'x', 'l: [x]\n'],
    ['m: {a: 1, b}\n', 'm.b', 2, 'm: {a: 1, b: 2}\n'],
    ['m: {a: , b: 1}\n', 'm.a', 2, 'm: {a: 2, b: 1}\n'],
    ['a: 1', 'b', 2, 'a: 1\nb: 2'],
    ['a: 1\r\nb: 2\r\n', 'c.d', 2, 'a: 1\r\nb: 2\r\nc:\r\n  d: 2\r\n'],
    ['a:\n    b: 1\n', 'c.d', 2, 'a:\n    b: 1\nc:\n    d: 2\n'],
    ['url: x\n', 'url', '${secret:database.url}', 'url: ${secret:database.url}\n'],
    ['m: {}\n', 'm.url', '${secret:db}', 'm: { url: "${secret:db}" }\n'],
    ['a: x\n', 'a', 'true', 'a: "true"\n'],
    ['a: x\n', 'a', '# no comment', 'a: "# no comment"\n'],
    ['a: |+\n  x\n\n\n', 'b', 1, 'a: |+\n  x\n\n\nb: 1\n'],
    ['---\na: 1\n', 'b', 1, '---\na: 1\nb: 1\n'],
    ['l: [1, 2, 3]\n', 'l', [1, 3], 'l: [1, 3]\n'],
    ['l:\n  - 1 # a\n  - 2 # b\n  - 3 # c\n', 'l', [1, 3], 'l:\n  - 1 # a\n  - 3 # c\n'],
    ['m:\n  a: 1 # c\n  b: 2\n', 'm', { a: 1, c: 3 }, 'm:\n  a: 1 # c\n  c: 3\n'],
  ])('in %j at %s', (text, path, value, result) => {
    expect(set(text, path, value)).toBe(result);
    expect(parse(result)).toEqual(parse(set(text, path, value)));
  });
});

describe('editYamlText unsets', () => {
  it.each([
    ['a: 1\nb: 2 # c\nc: 3\n', 'b', 'a: 1\nc: 3\n'],
    ['a:\n  b: 1\nc: 3\n', 'a.b', 'c: 3\n'],
    ['a:\n  # keep\n  b: 1\nc: 3\n', 'a.b', 'a: {}\n  # keep\nc: 3\n'],
    ['a:\n  b:\n    c: 1\n', 'a.b.c', '{}\n'],
    ['a: {b: 1, c: 2, d: 3}\n', 'a.c', 'a: {b: 1, d: 3}\n'],
    ['a: {b: 1, c: 2}\n', 'a.b', 'a: {c: 2}\n'],
    ['a: {b: 1}\nz: 1\n', 'a.b', 'z: 1\n'],
    ['l: [1]\n', 'l[0]', 'l: []\n'],
    ['l:\n  - 1\n', 'l[0]', 'l: []\n'],
    ['l:\n  - a: 1\n    b: 2\n', 'l[0].a', 'l:\n  - b: 2\n'],
    ['l:\n  - a: 1\n', 'l[0].a', 'l:\n  - {}\n'],
    ['a: 1\nb: 2', 'b', 'a: 1'],
    ['a: |\n  x\n\n  y\nb: 1\n', 'a', 'b: 1\n'],
    ['a: 1\n\n# about b\nb: 2\n\nc: 3\n', 'b', 'a: 1\n\n# about b\n\nc: 3\n'],
    ['a: [\n  1, # one\n  2, # two\n  3\n]\n', 'a[1]', 'a: [\n  1, # one\n   # two\n  3\n]\n'],
    ['a: 1\n', 'b.c', 'a: 1\n'],
  ])('in %j the path %s', (text, path, result) => {
    expect(unset(text, path)).toBe(result);
  });
});

describe('editYamlText refuses', () => {
  it.each([
    ['a: &x {b: 1}\nc: *x\n', 'a.b', 'f.yaml:1:7', 'the anchor `&x`'],
    ['a: &x {b: 1}\nc: *x\n', 'c.b', 'f.yaml:2:4', 'the alias `*x`'],
    ['a: !!str 5\n', 'a', 'f.yaml:1:10', 'a tag'],
    ['a: &x {b: 1}\nc:\n  <<: *x\n', 'c.d', 'f.yaml:3:3', 'merge keys'],
    ['a: 1\na: 2\n', 'a', 'f.yaml:2:1', 'twice'],
    ['a: [1\n', 'a', 'f.yaml:1:4', 'never closed'],
  ])('%j at %s', (text, path, place, what) => {
    const edit = (): string => set(text, path, 7);
    expect(edit).toThrow(ConfigInvalidError);
    expect(edit).toThrow(place);
    expect(edit).toThrow(what);
  });

  it('a path through a plain value, and past the end of a list', () => {
    expect(() => set('a: 1\n', 'a.b', 1)).toThrow(UsageError);
    expect(() => set('a: [1]\n', 'a[5]', 1)).toThrow('`a` is a list of 1');
    expect(() => set('a: [1]\n', 'a.b', 1)).toThrow(UsageError);
  });

  it('to unset what an alias stands for', () => {
    expect(() => unset('a: &x 1\nb: *x\nc: 1\n', 'a')).toThrow('the anchor `&x`');
    expect(unset('a: &x 1\nb: *x\nc: 1\n', 'b')).toBe('a: &x 1\nc: 1\n');
  });
});

describe('any edit of any file', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'long_name', 'x-y');
  const scalar = fc.oneof(
    fc.integer({ min: -5, max: 99_999 }),
    fc.boolean(),
    fc.string({ maxLength: 12 }),
    fc.constantFrom(
      'true',
      '5',
      '${secret:a.b}',
      'a: b',
      '# x',
      '- y',
      ' led',
      'two\nlines',
      'https://a.example/x?y#z',
      '',
    ),
  );
  const { tree } = fc.letrec<{ tree: unknown; map: Record<string, unknown> }>((tie) => ({
    tree: fc.oneof({ maxDepth: 3 }, scalar, fc.array(tie('tree'), { maxLength: 3 }), tie('map')),
    map: fc.dictionary(key, tie('tree'), { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
  }));
  const root = fc.dictionary(key, tree, { minKeys: 1, maxKeys: 5, noNullPrototype: true });
  const style = fc.record({
    indent: fc.constantFrom(2, 3, 4),
    indentSeq: fc.boolean(),
    flowFrom: fc.constantFrom(1, 2, 3, 9),
    comments: fc.array(fc.nat({ max: 30 }), { maxLength: 6 }),
    eofless: fc.boolean(),
  });
  type Style = typeof style extends fc.Arbitrary<infer T> ? T : never;

  /** A file as a person might have written it: some of it in brackets, with comments and blank lines between. */
  function written(value: unknown, { indent, indentSeq, flowFrom, comments, eofless }: Style): string {
    const document = new Document(value);
    visit(document, {
      Collection(_, node, ancestors) {
        if (ancestors.filter(isCollection).length >= flowFrom) node.flow = true;
      },
    });
    const lines = document.toString({ indent, indentSeq, lineWidth: 0 }).replace(/\n$/, '').split('\n');
    const noted = lines.flatMap((line, index) => {
      const safe = /^ *(- )*[\w-]+:( [\w.-]+)?$/.test(line);
      if (!comments.includes(index) || !safe) return [line];
      return index % 2 === 0 ? [`${line} # note ${index}`] : ['', line];
    });
    const text = eofless ? noted.join('\n') : `${noted.join('\n')}\n`;
    // Where a note has become part of a text, the plain form will do.
    const read = parseDocument(text);
    const same = read.errors.length === 0 && isDeepStrictEqual(read.toJS(), value);
    return same ? text : document.toString({ lineWidth: 0 });
  }

  const step = fc.oneof({ weight: 4, arbitrary: key }, { weight: 1, arbitrary: fc.nat({ max: 2 }) });
  const anyPath = fc.tuple(key, fc.array(step, { maxLength: 3 })).map(([first, rest]) => [first, ...rest]);

  function lookUp(value: unknown, path: readonly (string | number)[]): { found: boolean; value?: unknown } {
    let current = value;
    for (const step of path) {
      const fits = !Array.isArray(current) || typeof step === 'number';
      if (typeof current !== 'object' || current === null || !fits || !Object.hasOwn(current, step))
        return { found: false };
      current = (current as Record<string | number, unknown>)[step];
    }
    return { found: true, value: current };
  }

  function attempt(text: string, change: YamlChange): string | undefined {
    try {
      return editYamlText(text, 'f.yaml', [change]);
    } catch (error) {
      if (error instanceof UsageError) return undefined;
      throw error;
    }
  }

  it('says what was asked for and leaves all other values and lines', () => {
    fc.assert(
      fc.property(root, style, anyPath, tree, (value, look, path, next) => {
        const text = written(value, look);
        const edited = attempt(text, { path, value: next });
        if (edited === undefined) return;
        expect(lookUp(parse(edited), path)).toEqual({ found: true, value: next });
        const [first] = path;
        for (const [name, entry] of Object.entries(value)) {
          if (name !== String(first)) expect(parse(edited)[name]).toEqual(entry);
        }
        // Lines of other top-level fields, their comments included, are there as they were, in their order.
        const others = (of: string): string[] => withoutField(of, String(first));
        expect(others(edited)).toEqual(others(text));
      }),
      { numRuns: 600 },
    );
  });

  it('is undone by unset, to the byte, where there was nothing before', () => {
    fc.assert(
      fc.property(root, style, anyPath, tree, (value, look, path, next) => {
        const text = written(value, look);
        fc.pre(!lookUp(value, path).found && path.every((step) => typeof step === 'string'));
        // An empty map on the way goes with the field, so it would not come back.
        fc.pre(!path.some((_, index) => isHollow(lookUp(value, path.slice(0, index)).value)));
        const edited = attempt(text, { path, value: next });
        if (edited === undefined) return;
        expect(editYamlText(edited, 'f.yaml', [{ path, unset: true }])).toBe(text);
      }),
      { numRuns: 600 },
    );
  });

  function isHollow(value: unknown): boolean {
    return value === null || (typeof value === 'object' && Object.keys(value ?? {}).length === 0);
  }

  function withoutField(text: string, name: string): string[] {
    let inside = false;
    return text
      .replace(/\n$/, '')
      .split('\n')
      .filter((line) => {
        if (/^[\w-]+:/.test(line)) inside = line.startsWith(`${name}:`);
        return !inside;
      });
  }
});

describe('dotted paths', () => {
  it('are read as they are written', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string({ minLength: 1, maxLength: 8 }), fc.nat({ max: 999 })), {
          minLength: 1,
          maxLength: 5,
        }),
        (path) => {
          expect(parseDottedPath(dottedPath(path))).toEqual(path);
        },
      ),
    );
  });

  it.each(['', '.', 'a.', '.a', 'a..b', 'a[', 'a[x]', 'a b', 'a["\\x"]'])('%j is none', (text) => {
    expect(parseDottedPath(text)).toBeUndefined();
  });
});

describe('editYaml', () => {
  const schema = z.strictObject({ port: z.int().min(1).max(65_535).default(8080), host: z.string().optional() });

  it('writes what holds, as one step, with the mode it had, through a link', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'f.yaml');
    const link = join(folder.path, 'link.yaml');
    await writeFile(file, 'port: 1 # c\n');
    await chmod(file, 0o640);
    await symlink(file, link);
    const result = await editYaml(link, schema, [{ path: ['port'], value: 2 }]);
    expect(result).toEqual({ changed: true, before: 'port: 1 # c\n', after: 'port: 2 # c\n', value: { port: 2 } });
    expect(await readFile(file, 'utf8')).toBe('port: 2 # c\n');
    expect((await stat(file)).mode & 0o777).toBe(0o640);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect((await readdir(folder.path)).sort()).toEqual(['f.yaml', 'link.yaml']);
  });

  it.each([
    [{ path: ['port'], value: 70_000 }, '1:7'],
    [{ path: ['prot'], value: 7 }, '2:1'],
  ])('writes nothing when %j would not hold', async (change, place) => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'f.yaml');
    await writeFile(file, 'port: 1\n');
    await expect(editYaml(file, schema, [change])).rejects.toThrow(`f.yaml:${place}`);
    expect(await readFile(file, 'utf8')).toBe('port: 1\n');
    expect(await readdir(folder.path)).toEqual(['f.yaml']);
  });

  it('asks the check of the caller', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'f.yaml');
    await writeFile(file, 'port: 1\n');
    const refused = editYaml(file, schema, [{ path: ['port'], value: 2 }], {
      check: (edited) => [edited.issue(['port'], 'is even')],
    });
    await expect(refused).rejects.toThrow('f.yaml:1:7  is even');
    expect(await readFile(file, 'utf8')).toBe('port: 1\n');
  });

  it('writes nothing on a dry run, begins a file when told, and says that there is none else', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'f.yaml');
    const changes = [{ path: ['host'], value: 'x' }];
    await expect(editYaml(file, schema, changes)).rejects.toThrow('there is no such file');
    const dry = await editYaml(file, schema, changes, { create: true, dryRun: true });
    expect([dry.before, dry.after]).toEqual([undefined, 'host: x\n']);
    expect(await readdir(folder.path)).toEqual([]);
    await editYaml(file, schema, changes, { create: true });
    expect(await readFile(file, 'utf8')).toBe('host: x\n');
  });

  it('loses no change of many editors at once', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'f.yaml');
    await writeFile(file, '# c\n{}\n');
    const open = z.record(z.string(), z.int());
    const names = Array.from({ length: 12 }, (_, index) => `k${index}`);
    await Promise.all(names.map((name, index) => editYaml(file, open, [{ path: [name], value: index }])));
    expect(parse(await readFile(file, 'utf8'))).toEqual(Object.fromEntries(names.map((name, index) => [name, index])));
  });
});
