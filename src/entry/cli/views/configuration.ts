import { stringify } from 'yaml';
import {
  type EffectiveConfiguration,
  type EffectiveValue,
  effectiveValues,
  sourceText,
  type ValueSource,
} from '../../../lib/app/config/effective.ts';
import type { ConfigNode, ConfigPath } from '../../../lib/app/config/types.ts';
import { dottedPath } from '../../../lib/infra/config/yaml-path.ts';
import type { TableArtifact, TextArtifact } from '../../../lib/shared/artifact.ts';

type Cell = string | number | boolean | null;

/** A value in a table: lists and empty maps as YAML has them in brackets. */
export function cellOf(value: ConfigNode): Cell {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}

/** A part of the configuration as YAML; `data.value` is the same. */
export function configurationText(name: string, path: ConfigPath, value: ConfigNode): TextArtifact {
  return {
    type: 'text',
    title: path.length === 0 ? `Configuration of the profile ${name}` : dottedPath(path),
    content: yamlText(value),
    data: { profile: name, path: path.length === 0 ? null : dottedPath(path), value },
  };
}

/** A value as a person would write it. */
export function yamlText(value: ConfigNode): string {
  if (typeof value === 'string') return value;
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }).trimEnd();
}

/** Every value below a path with what made it so. */
export function originTable(configuration: EffectiveConfiguration, path: ConfigPath): TableArtifact {
  const values = effectiveValues(configuration, path);
  return {
    type: 'table',
    title: `Configuration of the profile ${configuration.profileName}`,
    columns: [
      { name: 'path', column_type: 'string' },
      { name: 'value', column_type: 'string' },
      { name: 'origin', column_type: 'string' },
    ],
    items: values.map(originItem),
    count: values.length,
  };
}

function originItem({ path, value, source }: EffectiveValue): Record<string, Cell> {
  return { path: dottedPath(path), value: cellOf(value), ...sourceCells(source) };
}

/** A source in JSON: all of its fields, null where they don't apply. */
export function sourceCells(source: ValueSource): Record<string, Cell> {
  const at = source.kind === 'file' ? source : undefined;
  return {
    origin: sourceText(source),
    source: source.kind,
    variable: source.kind === 'environment' ? source.variable : null,
    file: at?.file ?? null,
    line: at?.line ?? null,
    column: at?.column ?? null,
  };
}
