import { expect, it } from 'vitest';
import { eventTypes } from '../../../../src/lib/app/supervisor/event-types.ts';

it('events can be asked for by all that is on record of a service that stays up', () => {
  expect(eventTypes).toEqual(expect.arrayContaining(['serving', 'not_serving', 'replaced', 'failed']));
});
