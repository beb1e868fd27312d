import type { Session } from '../../infra/database/session.ts';
import { NotFoundError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';

/** A table or view of the database, whoever owns it. */
export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** With the schema unless that is `public`: how people write it. */
  readonly shown: string;
  readonly kind: 'table' | 'view' | 'materialized view' | 'foreign table';
  readonly owner: string;
  /** As the server estimates it; `null` when it has never looked. */
  readonly rows: number | null;
  /** With its indexes and what is stored out of line. */
  readonly bytes: number;
  readonly comment: string | null;
}

/** Schemas of PostgreSQL itself. */
const foreign = "n.nspname !~ '^(pg_|information_schema$)'";

/** All tables and views that are not PostgreSQL's own, by name, those in `public` first. */
export async function relations(session: Session): Promise<Relation[]> {
  return await session.query<Relation>(
    `SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name,
            CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS shown,
            CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
            pg_get_userbyid(c.relowner) AS owner,
            CASE WHEN c.relkind IN ('r', 'p', 'm') AND c.reltuples >= 0 THEN c.reltuples::int8 END AS rows,
            pg_total_relation_size(c.oid) AS bytes, obj_description(c.oid, 'pg_class') AS comment
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ${foreign}
      ORDER BY n.nspname <> 'public', n.nspname, c.relname`,
  );
}

/**
 * The table that somebody means: its name exactly, with its schema or, where only one schema has it, without.
 * @throws NotFoundError with the nearest names
 */
export async function findRelation(session: Session, wanted: string): Promise<Relation> {
  const all = await relations(session);
  const exact = all.find(({ shown, schema, name }) => shown === wanted || `${schema}.${name}` === wanted);
  if (exact !== undefined) return exact;
  const bare = all.filter(({ name }) => name === wanted);
  const [only] = bare;
  if (only !== undefined && bare.length === 1) return only;
  const names = all.map(({ shown }) => shown);
  const alike = nearest(wanted, names);
  const like = bare.length > 1 ? bare.map(({ shown }) => shown) : alike.length > 0 ? alike : likeBare(wanted, all);
  throw new NotFoundError(bare.length > 1 ? `Several tables are called ${wanted}.` : `There is no table ${wanted}.`, {
    hint: like.length > 0 ? `Did you mean ${like.join(' or ')}?` : 'Look which tables there are.',
    next: ['infra db tables'],
    data: { name: wanted, like },
  });
}

function likeBare(wanted: string, all: readonly Relation[]): string[] {
  const close = new Set(
    nearest(
      wanted.split('.').at(-1) ?? wanted,
      all.map(({ name }) => name),
    ),
  );
  return all.filter(({ name }) => close.has(name)).map(({ shown }) => shown);
}

export interface ColumnFacts {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly default: string | null;
  /** `primary key`, `unique`, `references users(id)`; several are parted by commas. */
  readonly key: string | null;
  readonly comment: string | null;
}

export interface IndexFacts {
  readonly table: string;
  readonly name: string;
  readonly definition: string;
  readonly unique: boolean;
  readonly bytes: number;
  /** How often it was used since the server's statistics began. */
  readonly scans: number;
}

export interface Description {
  readonly relation: Relation;
  readonly columns: readonly ColumnFacts[];
  /** Checks, and keys of several columns: as SQL. */
  readonly constraints: readonly string[];
  readonly indexes: readonly IndexFacts[];
  readonly triggers: readonly string[];
  readonly referencedBy: readonly string[];
}

/** All about one table. @throws NotFoundError with the nearest names */
export async function describeRelation(session: Session, wanted: string): Promise<Description> {
  const relation = await findRelation(session, wanted);
  const { oid } = relation;
  const columns = await session.query<ColumnFacts>(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
            CASE WHEN a.attidentity <> '' THEN 'identity' WHEN a.attgenerated <> '' THEN 'generated: ' || pg_get_expr(d.adbin, d.adrelid)
                 ELSE pg_get_expr(d.adbin, d.adrelid) END AS "default",
            (SELECT string_agg(CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique'
                      ELSE regexp_replace(pg_get_constraintdef(k.oid), '^FOREIGN KEY \\([^)]*\\) REFERENCES', 'references') END, ', ' ORDER BY k.contype DESC)
               FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype IN ('p', 'u', 'f') AND k.conkey = ARRAY[a.attnum]) AS key,
            col_description(a.attrelid, a.attnum) AS comment
       FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [oid],
  );
  const texts = async (sql: string): Promise<string[]> =>
    (await session.query<{ text: string }>(sql, [oid])).map(({ text }) => text);
  return {
    relation,
    columns,
    constraints: await texts(
      `SELECT format('%s %s', conname, pg_get_constraintdef(oid)) AS text FROM pg_constraint
        WHERE conrelid = $1 AND (contype IN ('c', 'x') OR (contype IN ('p', 'u', 'f') AND cardinality(conkey) > 1)) ORDER BY conname`,
    ),
    indexes: await indexes(session, relation),
    triggers: await texts(
      'SELECT pg_get_triggerdef(oid) AS text FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY tgname',
    ),
    referencedBy: await texts(
      `SELECT format('%s: %s', conrelid::regclass, pg_get_constraintdef(oid)) AS text FROM pg_constraint
        WHERE confrelid = $1 AND contype = 'f' ORDER BY 1`,
    ),
  };
}

/** The indexes of one table, or of all. */
export async function indexes(session: Session, of?: Relation): Promise<IndexFacts[]> {
  return await session.query<IndexFacts>(
    `SELECT CASE WHEN n.nspname = 'public' THEN t.relname ELSE n.nspname || '.' || t.relname END AS "table",
            c.relname AS name, regexp_replace(pg_get_indexdef(c.oid), '^.* USING ', '') AS definition,
            i.indisunique AS unique, pg_relation_size(c.oid) AS bytes, coalesce(s.idx_scan, 0) AS scans
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
       JOIN pg_namespace n ON n.oid = t.relnamespace LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = c.oid
      WHERE ${foreign} AND ($1::int8 IS NULL OR t.oid = $1::int8)
      ORDER BY n.nspname <> 'public', n.nspname, t.relname, c.relname`,
    [of?.oid ?? null],
  );
}

export interface SizeFacts {
  readonly name: string;
  readonly kind: 'database' | 'table' | 'index';
  /** Of a table: with its indexes. */
  readonly bytes: number;
}

/** What takes up the space, the largest first; the database before everything in it. */
export async function sizes(session: Session): Promise<SizeFacts[]> {
  return await session.query<SizeFacts>(
    `SELECT current_database() AS name, 'database' AS kind, pg_database_size(current_database()) AS bytes
      UNION ALL
     SELECT CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END,
            CASE WHEN c.relkind = 'i' THEN 'index' ELSE 'table' END,
            CASE WHEN c.relkind = 'i' THEN pg_relation_size(c.oid) ELSE pg_total_relation_size(c.oid) END
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm', 'i') AND ${foreign}
      ORDER BY bytes DESC, kind DESC, name`,
  );
}
