import { spawnSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ParsedYaml, parseYamlFile, parseYamlText, yamlFilesIn } from '../../../../src/lib/infra/config/yaml.ts';
import { displayPath } from '../../../../src/lib/infra/config/yaml-source.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const anything = z.strictObject({ name: z.string().optional(), list: z.array(z.object({ a: z.number() })).optional() });

async function firstIssue(content: string | Uint8Array): Promise<string> {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'x.yaml');
  await writeFile(file, content);
  return issueOf(file);
}

async function issueOf(file: string): Promise<string> {
  const result = await parseYamlFile(file, anything);
  if (!('issues' in result)) return 'none';
  expect(result.issues).toHaveLength(1);
  const [issue] = result.issues;
  expect(issue?.file).toBe(displayPath(file));
  return `${issue?.line}:${issue?.column} ${issue?.message}`;
}

function parsed(text: string): ParsedYaml<unknown> {
  const result = parseYamlText(text, 'x.yaml', anything);
  if ('issues' in result) throw new Error(JSON.stringify(result.issues));
  return result;
}

describe('what is no text is refused before it is parsed', () => {
  it.each([
    ['a byte order mark', new Uint8Array([0xef, 0xbb, 0xbf, 0x61]), '1:1 begins with a byte order mark'],
    ['UTF-16, little end first', new Uint8Array([0xff, 0xfe, 0x61, 0]), '1:1 is UTF-16, not UTF-8'],
    ['UTF-16, big end first', new Uint8Array([0xfe, 0xff, 0, 0x61]), '1:1 is UTF-16, not UTF-8'],
    ['Latin-1', Buffer.from('name: x\nlist: caf\xe9\n', 'latin1'), '2:10 is not UTF-8 text'],
    ['a NUL', 'name: a\u0000b\n', '1:8 holds the control character U+0000: this is no text'],
    ['an escape sequence', 'name: x\nlist: \u001b[31m\n', '2:7 holds the control character U+001B: this is no text'],
    ['more than 128 kB', 'a'.repeat(128 * 1024 + 1), '1:1 is larger than 128 kB'],
  ] as const)('%s', async (_, content, expected) => {
    expect(await firstIssue(content)).toBe(expected);
  });

  it('takes exactly 128 kB', async () => {
    expect(await firstIssue(`# ${'x'.repeat(128 * 1024 - 6)}\n{}\n`)).toBe('none');
  });

  it('names what is there instead of a file', async () => {
    await using folder = await temporaryFolder();
    const at = (name: string) => join(folder.path, name);
    await mkdir(at('folder'));
    await symlink('loop', at('loop'));
    expect(spawnSync('mkfifo', [at('pipe')]).status).toBe(0);
    expect(await issueOf(at('none.yaml'))).toBe('1:1 there is no such file');
    expect(await issueOf(at('folder'))).toBe('1:1 is no regular file');
    expect(await issueOf(at('loop'))).toBe('1:1 is a symbolic link that leads back to itself');
    expect(await issueOf(at('pipe'))).toBe('1:1 is no regular file');
    expect(await issueOf('/dev/zero')).toBe('1:1 is no regular file');
  });
});

describe('a later finding has its place', () => {
  const text = '# c\nname: x\nlist:\n  - a: 1\n  - &two\n    a: 2\n  - *two\n';
  it.each([
    [[], 'value', '2:1'],
    [['name'], 'value', '2:7'],
    [['name'], 'key', '2:1'],
    [['list', 1, 'a'], 'value', '6:8'],
    [['list', 1, 'a'], 'key', '6:5'],
    [['list', 2], 'value', '7:5'],
    [['list', 2, 'a'], 'value', '6:8'],
    [['list', 0, 'b'], 'value', '4:5'],
    [['list', 9], 'value', '4:3'],
    [['nowhere', 'at', 'all'], 'key', '2:1'],
  ] as const)('%j as %s is at %s', (path, at, expected) => {
    const { line, column } = parsed(text).locate(path, at);
    expect(`${line}:${column}`).toBe(expected);
  });

  it('becomes an issue that names the file', () => {
    expect(parsed(text).issue(['name'], 'is taken', 'choose another')).toEqual({
      file: 'x.yaml',
      line: 2,
      column: 7,
      message: 'is taken',
      hint: 'choose another',
    });
    expect(parsed(text).issue(['name'], 'is taken')).not.toHaveProperty('hint');
  });
});

describe('files and paths', () => {
  it('shows a path below the working directory as relative, any other as absolute', () => {
    expect(displayPath('/a/b/c.yaml', '/a')).toBe('b/c.yaml');
    expect(displayPath('c.yaml', '/a')).toBe('c.yaml');
    expect(displayPath('/a/..c.yaml', '/a')).toBe('..c.yaml');
    expect(displayPath('/b/c.yaml', '/a')).toBe('/b/c.yaml');
    expect(displayPath('../c.yaml', '/a')).toBe('/c.yaml');
  });

  it('lists the YAML files of a folder in order', async () => {
    await using folder = await temporaryFolder();
    for (const name of ['b.yml', 'a.yaml', '.hidden.yaml', 'c.yaml.bak', 'd.json'])
      await writeFile(join(folder.path, name), '');
    expect(await yamlFilesIn(folder.path)).toEqual([join(folder.path, 'a.yaml'), join(folder.path, 'b.yml')]);
    expect(await yamlFilesIn(join(folder.path, 'none'))).toEqual([]);
    await expect(yamlFilesIn(join(folder.path, 'd.json'))).rejects.toMatchObject({ code: 'PRECONDITION' });
  });
});

describe('any text', () => {
  const token = fc.constantFrom(
    'a',
    'name',
    'list',
    ': ',
    ':',
    '- ',
    '\n',
    '  ',
    '\t',
    '[',
    ']',
    '{',
    '}',
    ',',
    '"',
    "'",
    '&a ',
    '*a',
    '!t ',
    '|',
    '>',
    '? ',
    '#',
    '---\n',
    '%',
    '1',
    'é',
    '😀',
    '\r\n',
    '<<',
  );
  it('is a value or issues with places in it, and never throws', () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => {
        const text = tokens.join('');
        const result = parseYamlText(text, 'x.yaml', anything);
        if (!('issues' in result)) return;
        const lines = text.split('\n');
        expect(result.issues.length).toBeGreaterThan(0);
        for (const { line, column } of result.issues) {
          expect(line).toBeGreaterThanOrEqual(1);
          expect(line).toBeLessThanOrEqual(lines.length);
          expect(column).toBeGreaterThanOrEqual(1);
          expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('that names an unknown field one letter away from a known one is told so', () => {
    const known = 'description_of_it';
    const schema = z.strictObject({ [known]: z.string().optional() });
    fc.assert(
      fc.property(fc.nat({ max: known.length - 1 }), fc.constantFrom('insert', 'remove', 'replace'), (at, how) => {
        const middle = { insert: `q${known[at]}`, remove: '', replace: 'q' }[how];
        const name = known.slice(0, at) + middle + known.slice(at + 1);
        const result = parseYamlText(`${name}: x\n`, 'x.yaml', schema);
        expect(result).toMatchObject({ issues: [{ line: 1, column: 1, hint: `did you mean \`${known}\`?` }] });
      }),
    );
  });
});
