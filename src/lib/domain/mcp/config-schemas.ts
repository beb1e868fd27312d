import { z } from 'zod';

const identifier = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be a name of PostgreSQL in lower case: letters, digits and underscores');

const table = z
  .strictObject({
    table: identifier.describe('The table, in the schema of the server.'),
    file: z.string().min(1).optional().describe('SQL file that makes it, from the folder of the module.'),
    required_columns: z.array(identifier).default([]).describe('Columns that it must have.'),
  })
  .describe('A table that the server counts on.');

const tables = z.array(table).max(500);

/** `schemas` of a server: what it counts on in its database, be it a list (as older files have it) or with a mode. */
export const schemasSchema = z
  .union(
    [
      tables,
      z.strictObject({
        mode: z
          .enum(['strict', 'warn', 'skip'])
          .default('strict')
          .describe('`strict`: nothing starts when one is wrong; `warn`: it is told; `skip`: nobody looks.'),
        tables: tables.default([]).describe('The tables.'),
      }),
    ],
    { error: 'must be a list of tables, or a map with mode and tables' },
  )
  .describe('Tables that the server counts on, looked at before it starts.');

interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What a server counts on in its database. */
export interface McpSchemas {
  readonly mode: 'strict' | 'warn' | 'skip';
  readonly tables: readonly {
    readonly table: string;
    /** From the folder of the module. */
    readonly file?: string;
    readonly requiredColumns: readonly string[];
    /** Where it is declared. */
    readonly at: Place;
  }[];
}

/** @param placeOf where a part of a server is written */
export function toSchemas(
  yaml: z.output<typeof schemasSchema>,
  placeOf: (path: readonly (string | number)[]) => Place,
): McpSchemas {
  const within = Array.isArray(yaml) ? ['schemas'] : ['schemas', 'tables'];
  const { mode, tables } = Array.isArray(yaml) ? { mode: 'strict' as const, tables: yaml } : yaml;
  return {
    mode,
    tables: tables.map(({ table, file, required_columns: requiredColumns }, index) => ({
      table,
      ...(file === undefined ? {} : { file }),
      requiredColumns,
      at: placeOf([...within, index, 'table']),
    })),
  };
}
