import { z } from 'zod';
import { environmentName, saying, semanticVersion } from '../../infra/config/fields.ts';

export const pluginId = z
  .string()
  .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'must have lower-case letters and digits, with single dashes between')
  .min(3)
  .max(50);

const components = (what: string) =>
  z
    .strictObject({
      source: z
        .enum(['instance', 'explicit'])
        .default('instance')
        .describe('`instance`: all of this instance; `explicit`: those of `include`.'),
      filter: z.enum(['enabled', 'all']).default('enabled').describe('Which of the instance’s.'),
      include: z.array(z.string().min(1)).default([]).describe('These, by name.'),
      exclude: z.array(z.string().min(1)).default([]).describe('Not these, by name.'),
    })
    .prefault({ source: 'explicit' })
    .describe(what);

const hook = z
  .strictObject({
    type: z.enum(['command', 'prompt', 'agent']).describe('What is run.'),
    command: z.string().min(1).optional().describe('Command, for `command`.'),
    prompt: z.string().min(1).optional().describe('Prompt, for `prompt` and `agent`.'),
    async: z.boolean().default(false).describe('Whether its end is not waited for.'),
    timeout: z.int().min(1).max(3600).optional().describe('How long it may take, in seconds.'),
    status_message: z.string().min(1).optional().describe('What is shown meanwhile.'),
  })
  .refine(({ type, command, prompt }) => (type === 'command' ? command : prompt) !== undefined, {
    error: 'lacks what it runs',
    params: { hint: 'write command: beside type: command, prompt: beside the others' },
  })
  .describe('One hook.');

const matchers = z
  .array(
    z
      .strictObject({
        matcher: z.string().min(1).default('*').describe('Which tools it is for.'),
        hooks: z.array(hook).min(1).describe('What is run.'),
      })
      .describe('Hooks for some tools.'),
  )
  .optional();

/** The events of Claude Code's hooks, by their names there. */
const hooks = z
  .strictObject({
    PreToolUse: matchers.describe('Before a tool is called.'),
    PostToolUse: matchers.describe('After a tool has answered.'),
    PostToolUseFailure: matchers.describe('After a tool has failed.'),
    SessionStart: matchers.describe('When a session begins.'),
    SessionEnd: matchers.describe('When a session ends.'),
    UserPromptSubmit: matchers.describe('When the user has sent a prompt.'),
    Notification: matchers.describe('When the user is notified.'),
    Stop: matchers.describe('When the agent stops.'),
    SubagentStart: matchers.describe('When a subagent begins.'),
    SubagentStop: matchers.describe('When a subagent stops.'),
  })
  .prefault({})
  .describe('Hooks by event.');

const common = {
  name: saying('write what people call the plugin').describe('Name for people.'),
  description: saying('write what the plugin is for, in one sentence').describe('What it is for, in one sentence.'),
  version: semanticVersion.default('1.0.0').describe('Version of the plugin.'),
  enabled: z.boolean().default(true).describe('Whether the plugin is offered.'),
  author: z
    .strictObject({
      name: z.string().min(1).describe('Name.'),
      email: z
        .string()
        .regex(/^[^\s@]+@[^\s@]+$/, 'must be an address such as name@example.com')
        .optional()
        .describe('Address for mail.'),
    })
    .optional()
    .describe('Who made it.'),
  keywords: z.array(z.string().min(1)).default([]).describe('Words to find it by.'),
  license: z.string().min(1).optional().describe('Licence, by its SPDX id.'),
  category: z.string().min(1).optional().describe('Group that it is shown in.'),
  skills: components('Skills in it.'),
  agents: components('Agents in it.'),
  mcp_servers: z.array(z.string().min(1)).default([]).describe('MCP servers in it, by name.'),
  content_sources: z.array(z.string().min(1)).default([]).describe('Content sources in it, by name.'),
  hooks,
  scripts: z
    .array(
      z
        .strictObject({
          name: z.string().min(1).describe('Name in the plugin.'),
          source: z.string().min(1).describe('File, relative to this one.'),
        })
        .describe('One script.'),
    )
    .default([])
    .describe('Scripts in it.'),
  variables: z
    .array(
      z
        .strictObject({
          name: environmentName.describe('Name of the variable.'),
          description: z.string().default('').describe('What it is for.'),
          required: z.boolean().default(true).describe('Whether the plugin needs it.'),
          secret: z.boolean().default(false).describe('Whether its value is a secret.'),
          example: z.string().optional().describe('A value such as it may have.'),
        })
        .describe('One variable.'),
    )
    .default([])
    .describe('Variables that its users set.'),
};

const pluginSchema = z.strictObject(common).describe('One plugin.');

/** A plugin in a folder of its own: `plugins/<id>/config.yaml`. */
export const pluginFileSchema = z
  .strictObject({
    id: pluginId.optional().describe('Id of the plugin, the same as its folder. Default: that name.'),
    ...common,
  })
  .describe('A plugin for Claude Code (services/plugins/<id>/config.yaml).');

/** `plugins`, by id. */
export const pluginsSchema = z.record(pluginId, pluginSchema).describe('Plugins by id.');

/** One plugin, complete with defaults. */
export interface PluginConfig extends z.output<typeof pluginSchema> {
  readonly id: string;
}
