import { expect, it } from 'vitest';
import { identityEvents } from '../../src/commands/admin/audit/identity.ts';
import { auditStatuses } from '../../src/commands/admin/audit/list.ts';
import { identityEventTypes } from '../../src/lib/domain/auth/index.ts';
import { outcomeStatuses } from '../../src/lib/domain/governance/index.ts';

it('the flag knows every way in which a call can end', () => {
  expect([...auditStatuses].toSorted()).toEqual([...outcomeStatuses, 'open'].toSorted());
});

it('the flag knows every event of identity', () => {
  expect([...identityEvents]).toEqual([...identityEventTypes]);
});
