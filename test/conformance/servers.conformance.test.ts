import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elsewhere, everythingElsewhere, type GovernedServer, governedServer } from '../helpers/governed-server.ts';
import { runConformance } from './tool.ts';

// The official conformance tool against a server of the official SDK, through router and bridge. Every scored scenario of
// both revisions has to pass: none is expected to fail.

describe('a server elsewhere that speaks both eras', () => {
  let fixture: Awaited<ReturnType<typeof everythingElsewhere>>;
  let governed: GovernedServer;
  beforeAll(async () => {
    fixture = await everythingElsewhere('dual');
    governed = await governedServer({ external: elsewhere(fixture.endpoint) });
  });
  afterAll(async () => {
    await governed?.[Symbol.asyncDispose]();
    await fixture?.[Symbol.asyncDispose]();
  });

  it.each(['2025-11-25', '2026-07-28'])('conforms to %s', async (revision) => {
    const checks = await runConformance('server', ['--url', governed.url.href, '--requirements', revision]);
    expect(checks).toMatchObject({ 'tools-list': 'SUCCESS' });
    expect(governed.gateway.unhandled).toEqual([]);
  });
});

describe('a server elsewhere that speaks 2026-07-28 alone', () => {
  it('conforms to 2025-11-25 all the same', async () => {
    await using fixture = await everythingElsewhere('modern');
    await using governed = await governedServer({ external: elsewhere(fixture.endpoint) });
    const checks = await runConformance('server', ['--url', governed.url.href, '--requirements', '2025-11-25']);
    expect(checks).toMatchObject({ 'tools-call-elicitation': 'SUCCESS', 'tools-call-sampling': 'SUCCESS' });
  });
});
