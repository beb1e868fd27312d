import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { artifactSchema, textArtifact } from '../../../src/lib/shared/artifact.ts';
import { defineMcpServer, isMcpServerDefinition } from '../../../src/lib/shared/mcp/server.ts';
import { defineTool } from '../../../src/lib/shared/mcp/tool.ts';

const handler = (): { type: 'text'; content: string } => ({ type: 'text', content: '' });
const base = { name: 'a', description: 'does', input: z.object({}), output: textArtifact, handler };

describe('defineTool', () => {
  it('gives schemas with an object at the root, unions of objects included', () => {
    const tool = defineTool({ ...base, input: z.strictObject({ a: z.string().optional() }), output: artifactSchema });
    expect(tool.inputSchema).toEqual({
      type: 'object',
      properties: { a: { type: 'string' } },
      additionalProperties: false,
    });
    expect(tool.outputSchema).toMatchObject({ type: 'object' });
    expect(tool.outputSchema['oneOf']).toHaveLength(6);
    expect(tool.outputSchema).not.toHaveProperty('$schema');
  });

  it('says nothing that some clients stumble over', () => {
    const { outputSchema } = defineTool({ ...base, output: artifactSchema });
    const text = JSON.stringify(outputSchema);
    expect(text).not.toMatch(/"type":\[/);
    expect(text).not.toContain('"additionalProperties":{}');
    expect(text).not.toContain('propertyNames');
  });

  it('leaves names and values alone when it rewrites a schema', () => {
    const input = z.object({
      additionalProperties: z.object({}).loose(),
      propertyNames: z.literal('x'),
      e: z.enum(['{}']),
    });
    const { inputSchema } = defineTool({ ...base, input });
    expect(inputSchema).toMatchObject({
      properties: {
        additionalProperties: { type: 'object', additionalProperties: true },
        propertyNames: { const: 'x' },
        e: { enum: ['{}'] },
      },
    });
  });

  it('keeps a refinement out of the schema', () => {
    const input = z.object({ a: z.string().optional(), b: z.string().optional() }).refine(({ a, b }) => a !== b);
    expect(Object.keys(defineTool({ ...base, input }).inputSchema).sort()).toEqual(['properties', 'type']);
  });

  it.each([
    ['a name with a space', { name: 'a b' }, /letters, digits/],
    ['no description', { description: ' ' }, /description/],
    ['an input that is no object', { input: z.string() }, /must be a z.object/],
    ['an input that is a union', { input: z.union([z.object({}), z.object({ a: z.string() })]) }, /refinement/],
    ['an output that is no object', { output: z.array(z.string()) }, /object or a union of objects/],
    [
      'an output that may be no object',
      { output: z.union([z.object({}), z.string()]) },
      /object or a union of objects/,
    ],
  ])('refuses %s', (_label, wrong, message) => {
    expect(() => defineTool({ ...base, ...wrong } as never)).toThrow(message);
  });
});

describe('defineMcpServer', () => {
  const server = { name: 'x', version: '1.0.0', description: 'does' };

  it('is recognised by what it says, not by class', () => {
    const defined = defineMcpServer({ ...server, tools: [defineTool(base)] });
    expect(isMcpServerDefinition(defined)).toBe(true);
    expect(isMcpServerDefinition({ ...defined, contract: 3 })).toBe(false);
    expect(isMcpServerDefinition(undefined)).toBe(false);
  });

  it('refuses two tools of one name, none, and a name that is no name', () => {
    expect(() => defineMcpServer({ ...server, tools: [defineTool(base), defineTool(base)] })).toThrow(
      /two tools are named a/,
    );
    expect(() => defineMcpServer({ ...server, tools: [] })).toThrow(/no tools/);
    expect(() => defineMcpServer({ ...server, name: 'a/b', tools: [defineTool(base)] })).toThrow(/Server name/);
  });
});
