import { quoteIdentifier as id, quoteLiteral } from '../../infra/database/identifiers.ts';
import type { Session } from '../../infra/database/session.ts';

/** How to make what is in a schema again. */
export interface SchemaStatements {
  /** Types, sequences, functions, tables. */
  readonly before: readonly string[];
  /** What is quicker or only right once the rows are there: constraints, indexes, views, triggers, rights. */
  readonly after: readonly string[];
  /** What these statements do not bring back. */
  readonly skipped: readonly string[];
}

/** Objects that belong to an extension of PostgreSQL come with it. */
const ownObject = (catalog: string, oid: string): string =>
  `NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = '${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`;

const table = "format('%I.%I', n.nspname, c.relname)";

/** Each gives statements, in one column; $1 is the schema. All names in them are qualified, since the search path is empty. */
const before: readonly string[] = [
  `SELECT format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
          (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
     FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = $1 AND t.typtype = 'e' AND ${ownObject('pg_type', 't.oid')}`,
  `SELECT format('CREATE DOMAIN %I.%I AS %s%s%s%s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod),
          coalesce(' DEFAULT ' || t.typdefault, ''), CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END,
          (SELECT coalesce(string_agg(format(' CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), ''), '')
             FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'))
     FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = $1 AND t.typtype = 'd' AND ${ownObject('pg_type', 't.oid')}`,
  `SELECT format('CREATE TYPE %I.%I AS (%s)', n.nspname, c.relname,
          (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'c' AND ${ownObject('pg_class', 'c.oid')}`,
  `SELECT format('CREATE SEQUENCE %s AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s%s', ${table},
          format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
          CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)
     FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')
      AND ${ownObject('pg_class', 'c.oid')}`,
  `SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = $1 AND p.prokind IN ('f', 'p', 'w') AND ${ownObject('pg_proc', 'p.oid')}`,
  `SELECT format('CREATE %sTABLE %s (%s)', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, ${table},
          (SELECT string_agg(format('%I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                    CASE WHEN a.attcollation <> y.typcollation
                         THEN (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname) FROM pg_collation co
                                 JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) ELSE '' END,
                    CASE WHEN a.attidentity <> '' THEN format(' GENERATED %s AS IDENTITY (SEQUENCE NAME %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s)',
                              CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, i.seqrelid::regclass,
                              i.seqincrement, i.seqmin, i.seqmax, i.seqstart, i.seqcache)
                         WHEN a.attgenerated = 's' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') STORED'
                         WHEN a.attgenerated = 'v' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') VIRTUAL'
                         ELSE coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') END,
                    CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY a.attnum)
             FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
             LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             LEFT JOIN pg_sequence i ON a.attidentity <> ''
                   AND i.seqrelid = pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname)::regclass
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'r' AND NOT c.relispartition AND ${ownObject('pg_class', 'c.oid')}`,
  `SELECT format('ALTER SEQUENCE %I.%I OWNED BY %s.%I', sn.nspname, s.relname, ${table}, a.attname)
     FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
     JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE sn.nspname = $1 AND d.deptype = 'a'`,
];

const after: readonly string[] = [
  // Foreign keys last: what they refer to must be unique by then.
  `SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', ${table}, k.conname, pg_get_constraintdef(k.oid))
     FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND k.contype IN ('p', 'u', 'c', 'x', 'f') AND c.relkind = 'r' AND NOT c.relispartition
    ORDER BY array_position(ARRAY['p', 'u', 'x', 'c', 'f'], k.contype::text), k.conname`,
  `SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'r' AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)`,
  `SELECT format('CREATE VIEW %s AS %s', ${table}, pg_get_viewdef(c.oid))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'v' AND ${ownObject('pg_class', 'c.oid')}`,
  `SELECT format('CREATE MATERIALIZED VIEW %s AS %s', ${table}, pg_get_viewdef(c.oid))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'm' AND ${ownObject('pg_class', 'c.oid')}`,
  `SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'm'`,
  `SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND NOT t.tgisinternal`,
  `SELECT format('ALTER TABLE %s %s TRIGGER %I', ${table},
          CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, t.tgname)
     FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND NOT t.tgisinternal AND t.tgenabled <> 'O'`,
  // Rights of the groups, which every database of ours has; roles of others may not be there.
  `SELECT format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, pg_get_userbyid(x.grantee)) FROM pg_namespace n, aclexplode(n.nspacl) x
    WHERE n.nspname = $1 AND starts_with(pg_get_userbyid(x.grantee), 'systemprompt_') AND x.privilege_type = 'USAGE'`,
  `SELECT format('GRANT %s ON %s%s TO %I', x.privilege_type, CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END, ${table}, pg_get_userbyid(x.grantee))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x
    WHERE n.nspname = $1 AND starts_with(pg_get_userbyid(x.grantee), 'systemprompt_')`,
  `SELECT format('GRANT %s (%I) ON TABLE %s TO %I', x.privilege_type, a.attname, ${table}, pg_get_userbyid(x.grantee))
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(a.attacl) x
    WHERE n.nspname = $1 AND starts_with(pg_get_userbyid(x.grantee), 'systemprompt_')`,
  `SELECT format('COMMENT ON %s %s IS %L', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, ${table}, obj_description(c.oid, 'pg_class'))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'v', 'm') AND NOT c.relispartition AND obj_description(c.oid, 'pg_class') IS NOT NULL`,
  `SELECT format('COMMENT ON COLUMN %s.%I IS %L', ${table}, a.attname, col_description(c.oid, a.attnum))
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'r' AND NOT c.relispartition AND col_description(c.oid, a.attnum) IS NOT NULL`,
];

/** What none of the statements above brings back, in words. */
const skipped: readonly string[] = [
  `SELECT format('table %s, which is partitioned, with its rows', ${table}) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'p'`,
  `SELECT format('foreign table %s', ${table}) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'f'`,
  `SELECT format('that table %s inherits', ${table}) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r' AND NOT c.relispartition`,
  `SELECT format('aggregate %I.%I', n.nspname, p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = $1 AND p.prokind = 'a'`,
  `SELECT format('type %I.%I', n.nspname, t.typname) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = $1 AND t.typtype = 'r'`,
  `SELECT format('policies of table %s', ${table}) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`,
  `SELECT format('rule %I of table %s', r.rulename, ${table}) FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'`,
];

/** Reads from the catalog how to make what is in a schema. The session's search path is emptied for it. */
export async function schemaStatements(session: Session, schema: string): Promise<SchemaStatements> {
  await session.query("SET LOCAL search_path = ''");
  const all = async (queries: readonly string[]): Promise<string[]> => {
    const texts: string[] = [];
    for (const sql of queries) {
      const rows = await session.query<{ text: string }>(`SELECT * FROM (${sql}) AS found (text)`, [schema]);
      texts.push(...rows.map(({ text }) => text));
    }
    return texts;
  };
  return { before: await all(before), after: await all(after), skipped: await all(skipped) };
}

/**
 * Runs statements whatever order they need: one that fails is tried again once others have worked.
 * @throws PostgreSQL's error about the first that nothing helps
 */
export async function runInAnyOrder(session: Session, statements: readonly string[]): Promise<void> {
  let left = statements;
  // A function may name what comes later.
  await session.query('SET LOCAL check_function_bodies = off');
  while (left.length > 0) {
    const failed: string[] = [];
    let first: unknown;
    for (const text of left) {
      await session.query('SAVEPOINT statement');
      try {
        // By the extended protocol: one statement, whatever stands in it.
        await session.client.query({ text, queryMode: 'extended' } as { text: string });
        await session.query('RELEASE SAVEPOINT statement');
      } catch (error) {
        first ??= error;
        failed.push(text);
        await session.query('ROLLBACK TO SAVEPOINT statement');
      }
    }
    if (failed.length === left.length) throw first;
    left = failed;
  }
}

/** How to take away what is in a schema and belongs to a role; `$1` the schema, `$2` the role. */
const removals: readonly string[] = [
  `SELECT format('DROP %s IF EXISTS %I.%I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
          WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END, n.nspname, c.relname)
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND pg_get_userbyid(c.relowner) = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c', 'S')
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i') AND ${ownObject('pg_class', 'c.oid')}
    ORDER BY c.relkind = 'S'`,
  `SELECT format('DROP ROUTINE IF EXISTS %I.%I(%s) CASCADE', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
     FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = $1 AND pg_get_userbyid(p.proowner) = $2 AND ${ownObject('pg_proc', 'p.oid')}`,
  `SELECT format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, t.typname)
     FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = $1 AND pg_get_userbyid(t.typowner) = $2 AND t.typtype IN ('e', 'd', 'r') AND ${ownObject('pg_type', 't.oid')}`,
];

/** Takes away everything in a schema that belongs to the role; the schema stays. */
export async function emptySchema(session: Session, schema: string, role: string): Promise<void> {
  for (const sql of removals) {
    const rows = await session.query<{ text: string }>(`SELECT * FROM (${sql}) AS found (text)`, [schema, role]);
    for (const { text } of rows) await session.query(text);
  }
}

/** Takes away every schema that belongs to the role, with what is in it. */
export async function dropSchemasOf(session: Session, role: string): Promise<void> {
  const rows = await session.query<{ name: string }>(
    `SELECT nspname AS name FROM pg_namespace WHERE pg_get_userbyid(nspowner) = ${quoteLiteral(role)}`,
  );
  for (const { name } of rows) await session.query(`DROP SCHEMA ${id(name)} CASCADE`);
}
