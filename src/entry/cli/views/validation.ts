import type { Finding, Validation } from '../../../lib/app/config/validation.ts';
import type { TableArtifact, TextArtifact } from '../../../lib/shared/artifact.ts';
import { type AppError, ConfigInvalidError } from '../../../lib/shared/errors.ts';

/** What a check of the configuration found; `data` has the same for programs, in both cases. */
export function validationText({ files, findings, items }: Validation, valid: boolean): TextArtifact {
  const errors = findings.filter(({ level }) => level === 'error').length;
  const warnings = findings.length - errors;
  const title = valid
    ? `Valid: ${counted(files.length, 'file')}, ${itemsText(items)}${warnings === 0 ? '' : `, ${counted(warnings, 'warning')}`}`
    : `Not valid: ${counted(errors, 'error')}, ${counted(warnings, 'warning')} in ${counted(files.length, 'file')}`;
  return {
    type: 'text',
    content: [title, ...findings.map(findingLine)].join('\n'),
    data: {
      valid,
      files: files.length,
      items,
      errors,
      warnings,
      findings: findings.map(({ file, line, column, level, message, hint }) => ({
        file,
        line,
        column,
        level,
        message,
        hint: hint ?? null,
      })),
    },
  };
}

/** Why a check fails; undefined when it doesn't. Its findings are shown with the result, so it names the first alone. */
export function validationFailure({ findings }: Validation, strict: boolean): AppError | undefined {
  const failing = findings.filter(({ level }) => strict || level === 'error');
  const [first] = failing;
  if (first === undefined) return undefined;
  const { level: _, ...issue } = first;
  const more = failing.length - 1;
  return new ConfigInvalidError([issue], more === 0 ? {} : { hint: `And ${more} more` });
}

/** The files that make the configuration. */
export function filesTable({ files, findings }: Validation, errorsOnly: boolean): TableArtifact {
  const count = (shown: string, level: Finding['level']): number =>
    findings.filter((finding) => finding.file === shown && finding.level === level).length;
  const known = new Set(files.map(({ shown }) => shown));
  const others = [...new Set(findings.map(({ file }) => file))].filter((file) => !known.has(file));
  const rows = [...files, ...others.map((shown) => ({ shown, kind: null }))]
    .map(({ shown, kind }) => ({
      file: shown,
      kind,
      errors: count(shown, 'error'),
      warnings: count(shown, 'warning'),
    }))
    .filter(({ errors, warnings }) => !errorsOnly || errors + warnings > 0);
  return {
    type: 'table',
    columns: [
      { name: 'file', column_type: 'string' },
      { name: 'kind', column_type: 'string' },
      { name: 'errors', column_type: 'integer' },
      { name: 'warnings', column_type: 'integer' },
    ],
    items: rows,
    count: rows.length,
    empty: errorsOnly ? 'No files with findings.' : 'No files found.',
    ...(findings.length === 0 ? {} : { notes: findings.map(findingLine) }),
  };
}

function findingLine({ file, line, column, message, hint, level }: Finding): string {
  const mark = level === 'warning' ? 'warning: ' : '';
  return `${file}:${line}:${column}  ${mark}${message}${hint === undefined ? '' : `  ${hint}`}`;
}

const things: Readonly<Record<string, string>> = {
  mcp_servers: 'MCP server',
  agents: 'agent',
  skills: 'skill',
  plugins: 'plugin',
};

function itemsText(items: Readonly<Record<string, number>>): string {
  const parts = Object.entries(items).filter(([, count]) => count > 0);
  return parts.length === 0
    ? 'nothing to run'
    : parts.map(([section, count]) => counted(count, things[section] ?? section)).join(', ');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
