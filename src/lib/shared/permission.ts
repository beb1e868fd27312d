/**
 * The permission tiers, highest first. A tier implies every tier of the same or a lower level; the order is total,
 * so implication is reflexive, transitive and antisymmetric.
 */
export const permissionLevels = {
  admin: 100,
  user: 50,
  service: 40,
  a2a: 30,
  mcp: 20,
  anonymous: 10,
} as const;

export type Permission = keyof typeof permissionLevels;

export const permissions = Object.keys(permissionLevels) as Permission[];

export function isPermission(value: string): value is Permission {
  return Object.hasOwn(permissionLevels, value);
}

/** Whether holding `held` is enough where `required` is asked for. */
export function implies(held: Permission, required: Permission): boolean {
  return permissionLevels[held] >= permissionLevels[required];
}

/**
 * Whether the scopes that a caller holds cover one required scope. A tier is covered by any tier that implies it;
 * every other scope (`tools:read`) only by itself, so that a tier never opens what was not granted by name.
 */
export function covers(held: readonly string[], required: string): boolean {
  if (!isPermission(required)) return held.includes(required);
  return held.some((scope) => isPermission(scope) && implies(scope, required));
}

/** The required scopes that the held ones do not cover; empty when the call may pass. */
export function missingScopes(held: readonly string[], required: readonly string[]): string[] {
  return required.filter((scope) => !covers(held, scope));
}
