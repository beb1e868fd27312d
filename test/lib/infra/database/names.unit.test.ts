import { describe, expect, test } from 'vitest';
import { quoteIdentifier, quoteLiteral, shortName } from '../../../../src/lib/infra/database/identifiers.ts';
import { loginRole, mcpRole, mcpSchema } from '../../../../src/lib/infra/database/roles.ts';
import { matchesVerifier, scramVerifier } from '../../../../src/lib/infra/database/scram.ts';

describe('names', () => {
  test('are quoted as PostgreSQL reads them', () => {
    expect(quoteIdentifier('a"; DROP')).toBe('"a""; DROP"');
    expect(quoteLiteral("it's")).toBe("'it''s'");
    expect(quoteLiteral('a\\b')).toBe(" E'a\\\\b'");
  });

  test('that are too long stay apart and fit', () => {
    const [one, two] = ['x', 'y'].map((end) =>
      mcpRole('a_database_with_quite_a_long_name', `a-server-with-a-rather-long-name-${end}`),
    );
    expect(one).not.toBe(two);
    for (const name of [
      one,
      two,
      loginRole('d'.repeat(63), 'app'),
      mcpSchema('ä'.repeat(60)),
      shortName('€'.repeat(40)),
    ]) {
      expect(Buffer.byteLength(name ?? '')).toBeLessThanOrEqual(63);
    }
    expect(loginRole('systemprompt', 'app')).toBe('sp_systemprompt_app');
  });
});

describe('a SCRAM verifier', () => {
  test('matches its password only', async () => {
    const verifier = await scramVerifier('correct horse');
    expect(await matchesVerifier('correct horse', verifier)).toBe(true);
    expect(await matchesVerifier('correct horsf', verifier)).toBe(false);
    expect(await matchesVerifier('correct horse', 'md5abc')).toBe(false);
  });

  test("is the one of RFC 7677's example (user 'user', password 'pencil')", async () => {
    // Keys computed from the RFC's salt and iteration count; the server signature in its section 3 follows from them.
    const verifier =
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';
    expect(await matchesVerifier('pencil', verifier)).toBe(true);
  });
});
