import { combinators, toolNameForm } from './mcp/schema.ts';
import { supportedMcpContracts } from './mcp/server.ts';
import { type JsonSchema, portableSchema } from './portable-schema.ts';

/** What is wrong with what a module exports as its server; `hint` says what to write instead. */
export interface ServerFinding {
  readonly message: string;
  readonly hint?: string;
}

const versionPattern = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

/**
 * Checks the export `server` of a module. `defineMcpServer` and `defineTool` have checked most of it, by the rules of
 * the copy of systemprompt that the module was loaded with; this is by ours, and for what was put together by hand.
 */
export function serverFindings(value: unknown): ServerFinding[] {
  const { kind, contract, name, version, tools } = fieldsOf(value);
  if (kind !== 'systemprompt/mcp-server') {
    return [
      {
        message: 'the module has no export "server" made by defineMcpServer() of systemprompt/mcp',
        hint: 'write: export const server = defineMcpServer({ … })',
      },
    ];
  }
  if (!supportedMcpContracts.includes(contract as number)) {
    const known = supportedMcpContracts.join(', ');
    return [
      {
        message: `its server keeps version ${String(contract)} of the contract, this systemprompt serves ${known}`,
        hint: 'install a version of systemprompt that serves it',
      },
    ];
  }
  const findings: ServerFinding[] = [];
  if (typeof name !== 'string' || !toolNameForm.test(name)) findings.push({ message: 'its server has no usable name' });
  if (typeof version !== 'string' || !versionPattern.test(version)) {
    findings.push({ message: `the version of its server is no version: ${short(version)}`, hint: 'write 1.0.0' });
  }
  if (!Array.isArray(tools) || tools.length === 0) return [...findings, { message: 'its server has no tools' }];
  return [...findings, ...tools.flatMap((tool) => toolFindings(fieldsOf(tool)))];
}

function toolFindings({
  name,
  inputSchema,
  outputSchema,
  handler,
}: Readonly<Record<string, unknown>>): ServerFinding[] {
  const tool = `the tool ${short(name)}`;
  if (typeof name !== 'string' || !toolNameForm.test(name)) return [{ message: `${tool} has no usable name` }];
  const findings: ServerFinding[] = [];
  if (typeof handler !== 'function') findings.push({ message: `${tool} has no handler`, hint: 'use defineTool()' });
  const input = fieldsOf(inputSchema);
  if (input['type'] !== 'object' || combinators.some((key) => key in input)) {
    findings.push({ message: `the input of ${tool} is no object schema`, hint: 'use defineTool() with a z.object' });
  }
  if (fieldsOf(outputSchema)['type'] !== 'object') {
    findings.push({ message: `the output of ${tool} is no object schema`, hint: 'use defineTool() with a z.object' });
  }
  for (const [which, schema] of Object.entries({ input, output: fieldsOf(outputSchema) })) {
    if (JSON.stringify(schema) === JSON.stringify(portableSchema(schema as JsonSchema))) continue;
    findings.push({
      message: `the ${which} of ${tool} is written in a way that some clients refuse`,
      hint: 'use defineTool(), which writes it portably',
    });
  }
  return findings;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function short(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100);
}
