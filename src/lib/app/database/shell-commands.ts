import { connectionFor } from '../../infra/database/connections.ts';
import type { Artifact } from '../../shared/artifact.ts';
import { UsageError } from '../../shared/errors.ts';
import { type Description, describeRelation, type IndexFacts, indexes, type Relation, relations } from './catalog.ts';
import { asReader, type DatabasePlace, missingReader, readerOf } from './connections.ts';
import { type QueryRequest, readQuery, writeQuery } from './query.ts';
import type { ShellItem } from './shell-input.ts';

/** How what the shell finds is shown. */
export interface ShellViews {
  tables(found: readonly Relation[]): Artifact;
  description(found: Description): Artifact;
  indexes(found: readonly IndexFacts[]): Artifact;
}

const help = `\\d            tables and views
\\d <table>    columns, keys and indexes of a table
\\dt           tables
\\di           indexes
\\?            this
\\q            end (also Ctrl-D)

A statement ends with a semicolon and may have several lines; each is a transaction of its own.`;

/** @returns what to show; `undefined` for the end. @throws as `readQuery` does; UsageError for a command that there is not */
export async function runShellItem(
  place: DatabasePlace,
  item: ShellItem,
  options: Omit<QueryRequest, 'sql'> & { readonly write: boolean },
  views: ShellViews,
): Promise<Artifact | undefined> {
  if (item.kind === 'statement') {
    const request = { ...options, sql: item.sql };
    if (!options.write) return await readQuery(await readerOf(place), request).catch(missingReader);
    return await writeQuery(await connectionFor(place.instance, place.profile, place.secrets, 'app'), request);
  }
  const { name, argument } = item;
  switch (name) {
    case 'q':
      return undefined;
    case '?':
      return { type: 'text', content: help };
    case 'd':
      if (argument !== '')
        return views.description(await asReader(place, (session) => describeRelation(session, argument)));
      return views.tables(await asReader(place, relations));
    case 'dt':
      return views.tables((await asReader(place, relations)).filter(({ kind }) => kind === 'table'));
    case 'di':
      return views.indexes(await asReader(place, (session) => indexes(session)));
    default:
      throw new UsageError(`There is no command \\${name}.`, { hint: 'See them with \\?' });
  }
}
