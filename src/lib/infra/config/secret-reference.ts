const REFERENCE = /^\$\{secret:([A-Za-z0-9][A-Za-z0-9._-]{0,127})\}$/;

/** The name in `${secret:NAME}`, or undefined when the value is meant as it stands. */
export function secretReference(value: string): string | undefined {
  return REFERENCE.exec(value)?.[1];
}
