import { artifactSchema, type CopyPasteTextArtifact, InternalError, tableArtifact } from 'systemprompt';
import { artifactView, defineTool } from 'systemprompt/mcp';
import { z } from 'zod';
import { run } from '../cli.ts';

// What a model is told it may repeat, and what it is given it may leak: values of secrets go from the person to the
// machine, and never through here, in neither direction.

const server = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,49}$/)
  .describe('Name of the MCP server that the secret is for');
const variable = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,99}$/, 'a name such as API_KEY')
  .describe('Name of the secret, such as API_KEY');

async function secretsOf(name: string | undefined, context: Parameters<typeof run>[0]) {
  const words = ['cloud', 'secrets', 'list', ...(name === undefined ? [] : [`--server=${name}`])];
  const artifact = await run(context, words);
  if (artifact.type !== 'table') throw new InternalError(`The command answered with ${artifact.type}`);
  return artifact;
}

export const getSecrets = defineTool({
  name: 'get_secrets',
  title: 'List secrets',
  description:
    'Says which secrets are set, for which servers and who uses them. Names and facts only: no tool gives the value of a secret.',
  input: z.strictObject({ server: server.optional() }),
  output: tableArtifact,
  ui: artifactView,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  examples: [{ input: { server: 'content-manager' } }],
  handler: ({ server: name }, context) => secretsOf(name, context),
});

export const manageSecrets = defineTool({
  name: 'manage_secrets',
  title: 'Manage secrets',
  description:
    'list: as get_secrets. set and delete: returns the command for the user to run on the machine of the instance, where the value is typed in and not shown. It changes nothing itself and takes no value: never ask the user for one.',
  input: z
    .strictObject({
      action: z.enum(['list', 'set', 'delete']),
      server: server.optional(),
      var_name: variable.optional().describe('Name of the secret; needed to set or delete one'),
    })
    .refine(({ action, var_name }) => action === 'list' || var_name !== undefined, {
      path: ['var_name'],
      message: 'Needed to set or delete a secret',
    }),
  output: artifactSchema,
  ui: artifactView,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  examples: [{ input: { action: 'set', var_name: 'GEMINI_API_KEY', server: 'content-manager' } }],
  handler: ({ action, server: name, var_name = '' }, context) =>
    action === 'list' ? secretsOf(name, context) : commandFor(action, var_name, name),
});

function commandFor(action: 'set' | 'delete', secret: string, name: string | undefined): CopyPasteTextArtifact {
  const verb = action === 'set' ? 'set' : 'unset';
  const command = `systemprompt cloud secrets ${verb} ${secret}${name === undefined ? '' : ` --server ${name}`}`;
  return {
    type: 'copy_paste_text',
    title:
      action === 'set'
        ? 'Run this on the machine of the instance; it asks for the value'
        : 'Run this on the machine of the instance',
    content: command,
    language: 'sh',
    data: { action, var_name: secret, changed: false },
  };
}
