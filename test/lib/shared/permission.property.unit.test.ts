import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { covers, implies, missingScopes, permissions } from '../../../src/lib/shared/permission.ts';

const tier = fc.constantFrom(...permissions);
const scope = fc.oneof(tier, fc.constantFrom('tools:read', 'tools:write', 'admin:all', 'user:x'));
const held = fc.array(scope, { maxLength: 5 });

describe('permission implication', () => {
  it('is a partial order: reflexive, antisymmetric, transitive', () => {
    fc.assert(
      fc.property(tier, tier, tier, (a, b, c) => {
        expect(implies(a, a)).toBe(true);
        if (implies(a, b) && implies(b, a)) expect(a).toBe(b);
        if (implies(a, b) && implies(b, c)) expect(implies(a, c)).toBe(true);
      }),
    );
  });

  it('covers what is implied and nothing that is named, however much is held', () => {
    fc.assert(
      fc.property(held, held, scope, (some, more, wanted) => {
        // More never covers less, and what is covered stays covered by whatever covers the parts.
        if (covers(some, wanted)) expect(covers([...some, ...more], wanted)).toBe(true);
        if (more.every((one) => covers(some, one)) && covers(more, wanted)) expect(covers(some, wanted)).toBe(true);
        if (!(permissions as string[]).includes(wanted)) expect(covers(some, wanted)).toBe(some.includes(wanted));
        expect(missingScopes(some, [wanted]).length === 0).toBe(covers(some, wanted));
      }),
    );
  });
});
