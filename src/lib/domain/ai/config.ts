import { z } from 'zod';
import { modelChoice, outputTokens, slug, webAddress } from '../../infra/config/fields.ts';
import { secretReference, secretReferencePattern } from '../../infra/config/secret-reference.ts';

const modelDescription = z
  .strictObject({
    capabilities: z
      .strictObject({
        vision: z.boolean().default(false).describe('Takes pictures.'),
        tools: z.boolean().default(true).describe('Calls tools.'),
        streaming: z.boolean().default(true).describe('Answers in parts.'),
        json_mode: z.boolean().default(false).describe('Keeps to a JSON Schema.'),
        image_generation: z.boolean().default(false).describe('Makes pictures.'),
      })
      .prefault({})
      .describe('What the model can do.'),
    limits: z
      .strictObject({
        context_window: z.int().min(1).max(100_000_000).optional().describe('Tokens of question and answer together.'),
        max_output_tokens: outputTokens.optional().describe('Most tokens of an answer.'),
      })
      .prefault({})
      .describe('How much it takes.'),
    pricing: z
      .strictObject({
        input_per_million: z
          .number()
          .min(0)
          .max(1_000_000)
          .default(0)
          .describe('Price of a million tokens that it reads, in US dollars.'),
        output_per_million: z
          .number()
          .min(0)
          .max(1_000_000)
          .default(0)
          .describe('Price of a million tokens that it writes, in US dollars.'),
      })
      .prefault({})
      .describe('What it costs.'),
  })
  .describe('One model of the provider.');

const provider = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether the provider is used.'),
    api_key: z
      .string()
      .refine((value) => secretReference(value) !== undefined, {
        error: 'must be a reference to a secret',
        params: { hint: 'write it as ${secret:NAME}, and keep the key itself with `cloud secrets set`' },
      })
      .optional()
      .describe('Key of the provider, as `${secret:NAME}`; never the key itself.')
      .meta({ secretReference: true, pattern: secretReferencePattern }),
    endpoint: webAddress.optional().describe('Address of its API. Default: the provider’s own.'),
    default_model: z.string().min(1).optional().describe('Model that is asked where none is named.'),
    default_image_model: z.string().min(1).optional().describe('Model that makes pictures.'),
    default_image_resolution: z.enum(['1K', '2K', '4K']).optional().describe('Size of the pictures.'),
    google_search_enabled: z
      .boolean()
      .default(false)
      .describe('Whether the model may search the web by the provider’s own tool.'),
    models: z
      .record(z.string().min(1), modelDescription)
      .default({})
      .describe('Its models, by the names that it gives them.'),
  })
  .describe('One provider of models.');

/** `ai`. */
export const aiSchema = z
  .strictObject({
    default_provider: z.string().min(1).optional().describe('Provider that is asked where none is named.'),
    default_max_output_tokens: outputTokens
      .default(8192)
      .describe('Most tokens of an answer where nothing else is said.'),
    sampling: z
      .strictObject({
        enable_smart_routing: z
          .boolean()
          .default(false)
          .describe('Whether a request may go to another provider that fits better.'),
        fallback_enabled: z.boolean().default(false).describe('Whether another provider is asked when one fails.'),
      })
      .prefault({})
      .describe('Which provider is asked.'),
    providers: z.record(slug, provider).default({}).describe('Providers by name.'),
    tool_models: z
      .record(z.string().min(1), modelChoice)
      .default({})
      .describe('Another model for single tools, by their names.'),
    mcp: z
      .strictObject({
        auto_discover: z.boolean().default(false).describe('Whether all MCP servers are offered to every model.'),
        connect_timeout_ms: z
          .int()
          .min(100)
          .max(60_000)
          .default(5000)
          .describe('How long a connection may take, in milliseconds.'),
        execution_timeout_ms: z
          .int()
          .min(100)
          .max(3_600_000)
          .default(30_000)
          .describe('How long a tool call may take, in milliseconds.'),
        retry_attempts: z.int().min(0).max(10).default(3).describe('How often a call that failed is made again.'),
      })
      .prefault({})
      .describe('How models reach MCP servers.'),
    history: z
      .strictObject({
        retention_days: z.int().min(1).max(3650).default(30).describe('How long conversations are kept, in days.'),
        log_tool_executions: z.boolean().default(false).describe('Whether tool calls are kept with them.'),
      })
      .prefault({})
      .describe('What is kept of conversations.'),
  })
  .describe('Models and their providers.');

export type AiConfig = z.output<typeof aiSchema>;
