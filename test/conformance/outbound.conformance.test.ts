import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runConformance } from './tool.ts';

// The official conformance tool as the servers and authorization servers elsewhere, before our bridge and our sign-ins. Every
// scored scenario of both revisions has to pass: none is expected to fail.

const program = `${process.execPath} ${join(import.meta.dirname, 'outbound.ts')}`;

it.each(['2025-11-25', '2026-07-28'])('our outbound client conforms to %s', { timeout: 130_000 }, async (revision) => {
  const checks = await runConformance('client', [
    '--command',
    program,
    '--requirements',
    revision,
    '--timeout',
    '100000',
  ]);
  expect(checks).toMatchObject({ 'tool-add-numbers': 'SUCCESS', 'pkce-verifier-matches-challenge': 'SUCCESS' });
});
