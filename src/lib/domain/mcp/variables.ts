import { z } from 'zod';
import { environmentName } from '../../infra/config/fields.ts';
import { secretReference } from '../../infra/config/secret-reference.ts';

/** What the supervisor tells each server by itself; a declaration of the same name would never be seen. */
const taken = /^(SYSTEMPROMPT_.*|MCP_SERVICE_ID|MCP_PORT|DATABASE_URL)$/;

const variableName = environmentName.refine((name) => !taken.test(name), {
  error: 'is set by the system',
  params: { hint: 'choose another name' },
});

const declaration = z
  .strictObject({
    description: z.string().min(1).optional().describe('What it is for, in one sentence.'),
    secret: z
      .boolean()
      .default(false)
      .describe('Whether its value is kept out of logs. It may not be written here then.'),
    required: z.boolean().default(false).describe('Whether the server can’t start without it.'),
    default: z.string().optional().describe('The value when no other is given.'),
    value: z
      .string()
      .optional()
      .describe(
        'The value, or a secret of another name as `${secret:NAME}`. Without it the secret of its own name is taken.',
      )
      .meta({ secretReference: true }),
  })
  .refine(({ value, default: fallback }) => value === undefined || fallback === undefined, {
    error: 'has both a value and a default',
    params: { hint: 'keep one of the two: with a value the default never holds' },
  })
  .refine((variable) => !variable.secret || !isPlain(variable.value), {
    path: ['value'],
    error: 'a secret has no place here',
    params: { hint: 'keep it with cloud secrets set, and leave value out or write ${secret:NAME}' },
  })
  .refine((variable) => !variable.secret || variable.default === undefined, {
    path: ['default'],
    error: 'a secret has no place here',
    params: { hint: 'keep it with cloud secrets set, and leave default out' },
  });

/** `variables` of a server: what it reads from its environment, so that it can be checked before it starts. */
export const variablesSchema = z
  .record(variableName, declaration)
  .default({})
  .describe(
    'Environment variables that the server reads. The value is the one here, else the secret of that name (of this server alone, or shared), else the default.',
  );

/** One declared variable. Places are counted from 1. */
export interface McpVariable {
  readonly name: string;
  readonly secret: boolean;
  readonly required: boolean;
  readonly value?: string;
  readonly default?: string;
}

export function toVariables(yaml: z.output<typeof variablesSchema>): McpVariable[] {
  return Object.entries(yaml).map(([name, { secret, required, value, default: fallback }]) => ({
    name,
    secret,
    required,
    ...(value === undefined ? {} : { value }),
    ...(fallback === undefined ? {} : { default: fallback }),
  }));
}

function isPlain(value: string | undefined): boolean {
  return value !== undefined && secretReference(value) === undefined;
}
