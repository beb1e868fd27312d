import { profileFileSchema } from '../../infra/config/profile-schema.ts';
import { quoted } from '../../infra/config/quoted.ts';
import type { YamlChange } from '../../infra/config/yaml-edit.ts';
import { parseDottedPath } from '../../infra/config/yaml-path.ts';
import { UsageError } from '../../shared/errors.ts';
import { refuseSecret, typedValue } from '../config/given-value.ts';

/**
 * The change that `server.port=8090` asks for. The value is YAML (`[a, b]`, `true`, `10`), and text where the field is text.
 * @throws UsageError for what is no assignment, and for a secret
 */
export function parseAssignment(text: string): YamlChange {
  const at = text.indexOf('=');
  const path = at < 1 ? undefined : parseDottedPath(text.slice(0, at));
  if (path === undefined) {
    throw new UsageError(`${quoted(text.slice(0, Math.max(at, 0)) || text)} sets nothing.`, {
      hint: 'Write it as field=value, such as server.port=8090',
    });
  }
  const value = typedValue(text.slice(at + 1), { schema: profileFileSchema, path });
  refuseSecret(path, value);
  return { path, value };
}

/** The change that takes a field away, so that its default holds. @throws UsageError for what is no path */
export function parseUnset(text: string): YamlChange {
  const path = parseDottedPath(text);
  if (path !== undefined) return { path, unset: true };
  throw new UsageError(`${quoted(text)} is no field.`, { hint: 'Write it as server.port' });
}
