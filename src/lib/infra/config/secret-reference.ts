const name = '[A-Za-z0-9][A-Za-z0-9._-]{0,127}';

/** What a secret may be called. */
export const secretName = new RegExp(`^${name}$`);
/** A reference, for JSON Schema. */
export const secretReferencePattern = `^\\$\\{secret:${name}\\}$`;

const REFERENCE = new RegExp(`^\\$\\{secret:(${name})\\}$`);

/** The name in `${secret:NAME}`, or undefined when the value is meant as it stands. */
export function secretReference(value: string): string | undefined {
  return REFERENCE.exec(value)?.[1];
}
