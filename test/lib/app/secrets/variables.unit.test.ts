import { describe, expect, it } from 'vitest';
import { serverVariables } from '../../../../src/lib/app/secrets/variables.ts';
import { mcpFileSchema } from '../../../../src/lib/domain/mcp/config.ts';
import { toServerConfig } from '../../../../src/lib/domain/mcp/server-config.ts';
import { parseYamlText } from '../../../../src/lib/infra/config/yaml.ts';

const at = { file: 'x.yaml', line: 1, column: 1 };

/** What a server of that text is told, when these secrets are set. */
async function told(text: string, secrets: Readonly<Record<string, string>> = {}) {
  const parsed = parse(text);
  if ('issues' in parsed) throw new Error(JSON.stringify(parsed.issues));
  const yaml = parsed.value.mcp_servers['s'];
  if (yaml === undefined) throw new Error('no server');
  const store = {
    get: async (name: string) => secrets[name],
    fingerprint: async (value: string) => `digest of ${value}`,
  };
  return await serverVariables(
    toServerConfig('s', yaml, at, () => at),
    store,
  );
}

function parse(text: string) {
  const body = text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
  const server = `mcp_servers:\n  s:\n    module: x\n    port: 5000\n    description: x\n    oauth: {scopes: [user]}\n${body}\n`;
  return parseYamlText(server, 'x.yaml', mcpFileSchema);
}

describe('the value of a variable', () => {
  it.each([
    ['is the one that is written', 'A: { value: x }', { A: 'secret' }, { A: 'x' }, []],
    ['is the secret of its name', 'A: {}', { A: 'shared' }, { A: 'shared' }, ['A']],
    ['is that of its server before the shared one', 'A: {}', { A: 'shared', 'mcp.s.A': 'own' }, { A: 'own' }, ['A']],
    ['is no other server’s', 'A: {}', { 'mcp.t.A': 'other' }, {}, []],
    ['is the secret that it refers to', 'A: { value: "${secret:B}" }', { A: 'a', B: 'b' }, { A: 'b' }, ['A']],
    ['is the default when nothing else is there', 'A: { default: x }', {}, { A: 'x' }, []],
    ['is a secret before the default', 'A: { default: x }', { A: 'y' }, { A: 'y' }, ['A']],
    ['is absent when it is not required', 'A: { secret: true }', {}, {}, []],
  ])('%s', async (_, variable, secrets, env, secret) => {
    expect(await told(`variables: { ${variable} }`, secrets)).toMatchObject({ env, secret, issues: [] });
  });

  it('counts in the digest only when it comes from the secret store', async () => {
    expect((await told('env: { A: x }\nvariables: { B: { value: x } }')).fingerprint).toBe('');
    expect((await told('env: { A: "${secret:K}" }', { K: 'k' })).fingerprint).toBe('digest of ["s",[["A","k"]]]');
  });

  it('of env refers to the server’s own secret first, too', async () => {
    const found = await told('env: { A: "${secret:K}" }', { K: 'k', 'mcp.s.K': 'own' });
    expect(found).toMatchObject({ env: { A: 'own' }, secret: ['A'] });
  });
});

describe('a declaration is refused', () => {
  it.each([
    ['that writes a secret down', 'A: { secret: true, value: hunter2 }', 'a secret has no place here'],
    ['that writes a secret down as its default', 'A: { secret: true, default: hunter2 }', 'a secret has no place here'],
    ['with a value and a default', 'A: { value: x, default: y }', 'has both a value and a default'],
    ['of what the system sets', 'MCP_PORT: {}', 'is set by the system'],
    ['of what the system sets', 'SYSTEMPROMPT_ROOT: {}', 'is set by the system'],
    ['of no variable', 'a-b: {}', 'must be the name of an environment variable'],
  ])('%s', (_, variable, message) => {
    const parsed = parse(`variables: { ${variable} }`);
    const text = JSON.stringify('issues' in parsed ? parsed.issues : []);
    expect(text).toContain(message);
    expect(text).not.toContain('hunter2');
  });

  it('that env makes as well', () => {
    const parsed = parse('env: { A: x }\nvariables: { A: {} }');
    expect(JSON.stringify(parsed)).toContain('declares a variable that env sets as well');
  });
});
