import { expect, it } from 'vitest';
import { KnownSecrets } from '../../../../src/lib/infra/logging/known-secrets.ts';

it('knows the secrets of calls that run, whatever calls that have ended have left', () => {
  const secrets = new KnownSecrets();
  secrets.add('from-the-environment');
  // Somebody floods it with calls that end at once.
  for (let n = 0; n < 5_000; n += 1) secrets.addOfCall(`flood ${n} "quoted"`, 60_000)();
  const done = secrets.addOfCall('of-a-call-that-runs', 60_000);
  const text = 'from-the-environment of-a-call-that-runs flood 4999 "quoted" flood 0 "quoted"';
  expect(secrets.blank(text)).toBe('[redacted] [redacted] [redacted] flood 0 "quoted"');
  done();
  expect(secrets.blank('of-a-call-that-runs')).toBe('[redacted]');
});
