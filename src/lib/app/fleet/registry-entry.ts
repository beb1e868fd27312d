import { z } from 'zod';

// What the public MCP registry says of a server (server.schema.json, 2025-12-11). Fields that nobody here uses are let pass.

const input = {
  description: z.string().optional(),
  isRequired: z.boolean().optional(),
  isSecret: z.boolean().optional(),
  default: z.string().optional(),
  value: z.string().optional(),
};

const variables = z.record(z.string(), z.looseObject(input)).optional();
const keyed = z.looseObject({ name: z.string().min(1).max(200), ...input, variables });

const argument = z.looseObject({
  type: z.enum(['positional', 'named']),
  name: z.string().optional(),
  valueHint: z.string().optional(),
  ...input,
  variables,
});

const packageEntry = z.looseObject({
  registryType: z.string(),
  identifier: z.string().min(1).max(500),
  version: z.string().optional(),
  runtimeHint: z.string().optional(),
  transport: z.looseObject({ type: z.string() }),
  runtimeArguments: z.array(argument).default([]),
  packageArguments: z.array(argument).default([]),
  environmentVariables: z.array(keyed).default([]),
});

const remote = z.looseObject({
  type: z.string(),
  url: z.string().min(1).max(2000),
  headers: z.array(keyed).default([]),
  variables,
});

/** A `server.json`. */
export const registryEntrySchema = z.looseObject({
  name: z.string().min(3).max(200),
  title: z.string().optional(),
  description: z.string().optional(),
  version: z.string().optional(),
  packages: z.array(packageEntry).default([]),
  remotes: z.array(remote).default([]),
});

/** What the registry's API answers for one version of a server. */
export const registryAnswerSchema = z.looseObject({ server: registryEntrySchema });

export type RegistryEntry = z.output<typeof registryEntrySchema>;
export type RegistryPackage = z.output<typeof packageEntry>;
export type RegistryRemote = z.output<typeof remote>;
export type RegistryArgument = z.output<typeof argument>;
export type RegistryKeyed = z.output<typeof keyed>;
