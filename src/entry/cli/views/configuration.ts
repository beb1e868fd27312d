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
import type { TextArtifact } from '../../../lib/shared/artifact.ts';

type Cell = string | number | boolean | null;

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

/** Every value below a path with what made it so: a line each, not cut short, since what is at the end matters. */
export function originText(configuration: EffectiveConfiguration, path: ConfigPath): TextArtifact {
  const values = effectiveValues(configuration, path);
  return {
    type: 'text',
    title: `Configuration of the profile ${configuration.profileName}`,
    content: values.map(originLine).join('\n'),
    data: {
      profile: configuration.profileName,
      path: path.length === 0 ? null : dottedPath(path),
      values: values.map(({ path: at, value, source }) => ({ path: dottedPath(at), value, ...sourceCells(source) })),
    },
  };
}

function originLine({ path, value, source }: EffectiveValue): string {
  return `${dottedPath(path)}: ${shortText(value)}  # ${sourceText(source)}`;
}

/** A value on one line. */
export function shortText(value: ConfigNode): string {
  const text = typeof value === 'string' && /^[\x21-\x7e][\x20-\x7e]*$/.test(value) ? value : JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
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
