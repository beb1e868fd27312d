import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { withSession } from '../../src/lib/infra/database/session.ts';

/** Schemas whose content is not ours to describe. */
const SYSTEM = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";

/** Each gives one line a thing, sorted; the line says all that a review of a change must see. */
const sections: readonly { readonly title: string; readonly sql: string }[] = [
  {
    title: 'Schemas',
    sql: `SELECT n.nspname || grants(n.nspacl) FROM pg_namespace n WHERE ${SYSTEM}`,
  },
  {
    title: 'Columns',
    sql: `SELECT format('%s.%s.%s %s%s%s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                  CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
                  coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), CASE a.attidentity WHEN 'a' THEN ' identity' ELSE '' END))
                 || coalesce(grants(a.attacl), '')
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
           WHERE c.relkind IN ('r', 'p', 'v') AND ${SYSTEM}`,
  },
  {
    title: 'Constraints',
    sql: `SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(k.oid))
            FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE k.contype <> 'n' AND ${SYSTEM}`,
  },
  {
    title: 'Indexes',
    sql: `SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${SYSTEM}`,
  },
  {
    title: 'Triggers',
    sql: `SELECT pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'A' THEN ' (always)' WHEN 'D' THEN ' (disabled)' ELSE '' END
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE NOT t.tgisinternal AND ${SYSTEM}`,
  },
  {
    title: 'Functions',
    sql: `SELECT format('%s.%s(%s) -> %s%s%s', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid),
                        pg_get_function_result(p.oid), CASE WHEN p.prosecdef THEN ' security definer' ELSE '' END,
                        coalesce(' set ' || array_to_string(p.proconfig, ', '), ''))
                 || grants(coalesce(p.proacl, acldefault('f', p.proowner)))
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${SYSTEM}`,
  },
  {
    title: 'Row security',
    sql: `SELECT format('%s.%s policy %s: %s using (%s) check (%s)', p.schemaname, p.tablename, p.policyname, p.cmd, p.qual, p.with_check)
            FROM pg_policies p`,
  },
  {
    title: 'Rights on tables and sequences',
    sql: `SELECT format('%s.%s (%s)', n.nspname, c.relname, CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END)
                 || CASE WHEN c.relrowsecurity THEN ' row security' ELSE '' END || grants(c.relacl)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'S') AND ${SYSTEM}`,
  },
];

/** Rights of everybody but the owner: `, systemprompt_app: INSERT SELECT`. A temporary function of the session. */
const grantsFunction = `CREATE FUNCTION pg_temp.grants(acl aclitem[]) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(line, '' ORDER BY line), '') FROM (
    SELECT format(', %s: %s', CASE grantee WHEN 0 THEN 'everybody' ELSE pg_get_userbyid(grantee) END,
                  string_agg(privilege_type, ' ' ORDER BY privilege_type)) AS line
      FROM aclexplode(acl) WHERE grantee <> grantor GROUP BY grantee) lines $$`;

/** The whole schema of a database as text, in an order that does not depend on when things were made. */
export function dumpSchema(admin: ConnectionConfig): Promise<string> {
  return withSession(admin, {}, async (session) => {
    await session.query(grantsFunction);
    const parts: string[] = [];
    for (const { title, sql } of sections) {
      const rows = await session.query<{ line: string }>(
        `SELECT line FROM (${sql.replaceAll('grants(', 'pg_temp.grants(')}) AS found (line) ORDER BY line COLLATE "C"`,
      );
      parts.push(`# ${title}\n${rows.map(({ line }) => `${line}\n`).join('')}`);
    }
    return parts.join('\n');
  });
}
