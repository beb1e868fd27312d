import { combinators, toolNameForm } from './mcp/schema.ts';
import { supportedMcpContracts } from './mcp/server.ts';
import { parseUriTemplate } from './mcp/uri-template.ts';
import { type JsonSchema, portableSchema } from './portable-schema.ts';

/** What is wrong with what a module exports as its server; `hint` says what to write instead. */
export interface ServerFinding {
  readonly message: string;
  readonly hint?: string;
  /** Name or URI of what is meant, by which its place in the sources is found. */
  readonly subject?: string;
}

/** Of the fields of a tool, by Anthropic's API. */
const propertyForm = /^[A-Za-z0-9_.-]{1,64}$/;
const largestSchema = 100_000;
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
  const others = ['prompts', 'resources', 'resourceTemplates'].map((key) => listOf(fieldsOf(value)[key]));
  const [prompts = [], resources = [], templates = []] = others;
  if (listOf(tools).length + others.flat().length === 0) return [...findings, { message: 'its server has no tools' }];
  return [
    ...findings,
    ...listOf(tools).flatMap((tool) => toolFindings(fieldsOf(tool))),
    ...repeated('tools are named', listOf(tools), 'name'),
    ...repeated('prompts are named', prompts, 'name'),
    ...repeated('resources have the URI', resources, 'uri'),
    ...repeated('resource templates have the URI', templates, 'uriTemplate'),
    ...resources.flatMap((resource) => uriFindings(fieldsOf(resource)['uri'])),
    ...templates.flatMap((template) => templateFindings(fieldsOf(template)['uriTemplate'])),
  ];
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function repeated(what: string, members: readonly unknown[], key: string): ServerFinding[] {
  const names = members.map((member) => fieldsOf(member)[key]).filter((name) => typeof name === 'string');
  const twice = new Set(names.filter((name, index) => names.indexOf(name) !== index));
  return [...twice].map((name) => ({
    message: `two ${what} ${name}`,
    hint: 'give one of them another',
    subject: name,
  }));
}

function uriFindings(uri: unknown): ServerFinding[] {
  if (typeof uri === 'string' && URL.canParse(uri) && !/[\s{}]/.test(uri)) return [];
  const message = `${short(uri)} is no URI of a resource`;
  return [{ message, hint: 'write a scheme and a path, such as notes://all', subject: String(uri) }];
}

function templateFindings(text: unknown): ServerFinding[] {
  try {
    parseUriTemplate(String(text));
    return [];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return [{ message, hint: 'write one such as notes://{id}', subject: String(text) }];
  }
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
  const subject = name;
  if (typeof handler !== 'function')
    findings.push({ message: `${tool} has no handler`, hint: 'use defineTool()', subject });
  const input = fieldsOf(inputSchema);
  if (input['type'] !== 'object' || combinators.some((key) => key in input)) {
    findings.push({
      message: `the input of ${tool} is no object schema`,
      hint: 'use defineTool() with a z.object',
      subject,
    });
  }
  if (fieldsOf(outputSchema)['type'] !== 'object') {
    findings.push({
      message: `the output of ${tool} is no object schema`,
      hint: 'use defineTool() with a z.object',
      subject,
    });
  }
  for (const [which, schema] of Object.entries({ input, output: fieldsOf(outputSchema) })) {
    if (JSON.stringify(schema) === JSON.stringify(portableSchema(schema as JsonSchema))) continue;
    findings.push({
      message: `the ${which} of ${tool} is written in a way that some clients refuse`,
      hint: 'use defineTool(), which writes it portably',
      subject,
    });
  }
  for (const [which, schema] of Object.entries({ input, output: fieldsOf(outputSchema) })) {
    const bytes = JSON.stringify(schema).length;
    if (bytes <= largestSchema) continue;
    const message = `the ${which} of ${tool} is a schema of ${bytes} characters`;
    findings.push({ message, hint: 'models pay for every one of them in each request: ask for less', subject });
  }
  const names = Object.keys(fieldsOf(input['properties']));
  for (const property of names.filter((key) => !propertyForm.test(key))) {
    const message = `the input of ${tool} has a field that some clients refuse: ${short(property)}`;
    findings.push({ message, hint: 'use at most 64 letters, digits, "_", "-" and "."', subject });
  }
  return findings;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function short(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100);
}
