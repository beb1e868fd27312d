import { z } from 'zod';
import {
  modelChoice,
  outputTokens,
  saying,
  scopeField,
  semanticVersion,
  servicePort,
  webAddress,
} from '../../infra/config/fields.ts';

const cardSkill = z
  .strictObject({
    id: z.string().min(1).max(128).describe('Id within the card.'),
    name: saying('write what people call it').describe('Name for people.'),
    description: saying('write what it does, in one sentence').describe('What the agent does by it, in one sentence.'),
    tags: z.array(z.string().min(1)).default([]).describe('Words to find it by.'),
    examples: z.array(z.string().min(1)).default([]).describe('Requests that it answers.'),
  })
  .describe('Something that the agent can do, as its card tells it.');

const capabilities = z
  .strictObject({
    streaming: z.boolean().default(true).describe('Whether answers come in parts.'),
    push_notifications: z.boolean().default(false).describe('Whether clients can be called back.'),
    state_transition_history: z
      .boolean()
      .default(true)
      .describe('Whether a task tells the states that it went through.'),
  })
  .prefault({})
  .describe('What the agent offers of the protocol.');

const card = z
  .strictObject({
    protocol_version: z
      .string()
      .regex(/^\d+\.\d+(\.\d+)?$/, 'must be a version such as 0.3.0')
      .default('0.3.0')
      .describe('Version of the A2A protocol.'),
    display_name: saying('write the name that people know the agent by')
      .optional()
      .describe('Name for people. Default: its key.'),
    description: saying('write one sentence about what the agent does').describe(
      'What the agent does, in one sentence.',
    ),
    version: semanticVersion.default('1.0.0').describe('Version of the agent itself.'),
    preferred_transport: z
      .enum(['JSONRPC', 'GRPC', 'HTTP+JSON'])
      .default('JSONRPC')
      .describe('Transport that clients should use.'),
    icon_url: webAddress.optional().describe('Address of a picture.'),
    documentation_url: webAddress.optional().describe('Address of its documentation.'),
    provider: z
      .strictObject({
        organization: saying('write the name of the organization').describe('Name of the organization.'),
        url: webAddress.describe('Address of the organization.'),
      })
      .optional()
      .describe('Who offers the agent.'),
    capabilities,
    default_input_modes: z.array(z.string().min(1)).default(['text/plain']).describe('Media types that it takes.'),
    default_output_modes: z
      .array(z.string().min(1))
      .default(['text/plain'])
      .describe('Media types that it answers with.'),
    skills: z.array(cardSkill).default([]).describe('What the agent can do.'),
    supports_authenticated_extended_card: z
      .boolean()
      .default(false)
      .describe('Whether callers who have signed in get a longer card.'),
  })
  .describe('The card by which others know the agent (A2A protocol).');

const metadata = z
  .strictObject({
    system_prompt: saying('write the prompt, or `!include <file>.md`')
      .optional()
      .describe('System prompt: the text itself, or `!include <file>`, relative to this file.'),
    mcp_servers: z.array(z.string().min(1)).default([]).describe('MCP servers that it may use, by name.'),
    skills: z.array(z.string().min(1)).default([]).describe('Skills that it has, by id.'),
    provider: z
      .string()
      .min(1)
      .optional()
      .describe('Provider of its model, by its name in `ai.providers`. Default: the default one.'),
    model: z
      .string()
      .min(1)
      .optional()
      .describe('Its model, by the name that the provider gives it. Default: the provider’s default.'),
    max_output_tokens: outputTokens
      .optional()
      .describe('Most tokens of an answer. Default: `ai.default_max_output_tokens`.'),
    tool_model_overrides: z
      .record(z.string().min(1), z.record(z.string().min(1), modelChoice))
      .default({})
      .describe('Another model for single tools: by MCP server, then by tool.'),
  })
  .prefault({})
  .describe('What the agent works with.');

const oauth = z
  .strictObject({
    required: z.boolean().default(true).describe('Whether callers must sign in.'),
    scopes: z
      .array(scopeField)
      .default(['user'])
      .describe('What every caller needs: permission tiers or scopes of your own.'),
    audience: z.string().min(1).default('a2a').describe('Audience that a token must name.'),
  })
  .prefault({})
  .describe('Who may call the agent.');

/** One agent, as it is written. */
const agentSchema = z
  .strictObject({
    name: z.string().optional().describe('Older files repeat the key here; it must be the same.'),
    port: servicePort.describe('Preferred port on loopback.'),
    endpoint: z.string().optional().describe('Accepted from older files; the address follows from the profile.'),
    enabled: z.boolean().default(true).describe('Whether the agent is offered.'),
    dev_only: z.boolean().default(false).describe('Never published by a deployment.'),
    is_primary: z.boolean().default(false).describe('Whether it is shown first.'),
    default: z.boolean().default(false).describe('Whether it answers where no agent is named. At most one can.'),
    tags: z.array(z.string().min(1)).default([]).describe('Words to find it by.'),
    card,
    metadata,
    oauth,
  })
  .describe('One agent.');

const agentName = z
  .string()
  .regex(
    /^[a-z][a-z0-9_-]{2,49}$/,
    'must have lower-case letters, digits, dashes and underscores only, begin with a letter, 3 to 50',
  )
  .refine((name) => name !== 'registry', { error: 'is taken: /api/v1/agents/registry lists the agents' });

/** `agents`, by name. */
export const agentsSchema = z.record(agentName, agentSchema).describe('Agents by name.');

/** One agent as its file has it, complete with defaults; of an included prompt, the text. */
export interface AgentConfig extends Omit<z.output<typeof agentSchema>, 'name'> {
  readonly name: string;
}
