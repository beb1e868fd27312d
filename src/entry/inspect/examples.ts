import { AjvJsonSchemaValidator } from '@modelcontextprotocol/server/validators/ajv';
import type { ToolDefinition } from '../../lib/shared/mcp/tool.ts';
import type { JsonSchema } from '../../lib/shared/portable-schema.ts';
import type { ServerFinding } from '../../lib/shared/server-findings.ts';

/** Checks what only running tells: that the schemas of each tool compile, and that its examples keep to them. */
export async function exampleFindings(tools: readonly ToolDefinition[]): Promise<ServerFinding[]> {
  const found = await Promise.all(tools.map(findingsOf));
  return found.flat();
}

type Holds = (value: unknown) => { readonly valid: boolean; readonly errorMessage?: string | undefined };

async function findingsOf(tool: ToolDefinition): Promise<ServerFinding[]> {
  const input = await sideFindings(tool, 'input', tool.inputSchema, tool.input);
  return [...input, ...(await sideFindings(tool, 'output', tool.outputSchema, tool.output))];
}

async function sideFindings(
  tool: ToolDefinition,
  side: 'input' | 'output',
  json: JsonSchema,
  schema: ToolDefinition['input'],
): Promise<ServerFinding[]> {
  const finding = (message: string, hint: string): ServerFinding => ({
    message: `the tool ${tool.name}: ${message}`,
    hint,
    subject: tool.name,
  });
  let holds: Holds;
  try {
    holds = new AjvJsonSchemaValidator().getValidator(json as never);
  } catch (error) {
    const message = `the JSON Schema of its ${side} does not hold: ${reason(error)}`;
    return [finding(message, 'write it in simpler words of zod')];
  }
  const findings: ServerFinding[] = [];
  for (const [index, example] of (tool.examples ?? []).entries()) {
    const which = `the ${side} of example ${index + 1}${example.title === undefined ? '' : ` (${example.title})`}`;
    const wrong = example[side] === undefined ? undefined : await refusal(schema, holds, side, example[side]);
    if (wrong?.by === 'zod')
      findings.push(
        finding(`${which} is not what its schema takes: ${wrong.why}`, 'correct the example, or the schema'),
      );
    if (wrong?.by === 'json') {
      const hint = 'zod and its JSON Schema disagree; write the schema without transforms';
      findings.push(finding(`clients would refuse ${which}: ${wrong.why}`, hint));
    }
  }
  return findings;
}

async function refusal(
  schema: ToolDefinition['input'],
  holds: Holds,
  side: 'input' | 'output',
  value: unknown,
): Promise<{ readonly by: 'zod' | 'json'; readonly why: string } | undefined> {
  const checked = await schema['~standard'].validate(value);
  if (checked.issues !== undefined) {
    const why = checked.issues.map(({ path, message }) => `${path?.join('.') ?? ''} ${message}`.trim()).join('; ');
    return { by: 'zod', why };
  }
  // A client sees what came out of the schema of the output, and has nothing but the JSON Schema to check it by.
  const shown = holds(side === 'output' ? JSON.parse(JSON.stringify(checked.value)) : value);
  return shown.valid ? undefined : { by: 'json', why: shown.errorMessage ?? 'invalid' };
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 200);
}
