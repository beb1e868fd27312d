import { expect, it } from 'vitest';
import { auditStatuses } from '../../src/commands/admin/audit/list.ts';
import { outcomeStatuses } from '../../src/lib/domain/governance/index.ts';

it('the flag knows every way in which a call can end', () => {
  expect([...auditStatuses].toSorted()).toEqual([...outcomeStatuses, 'open'].toSorted());
});
