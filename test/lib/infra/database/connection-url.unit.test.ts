import { describe, expect, test } from 'vitest';
import { parseConnectionUrl, toConnectionUrl } from '../../../../src/lib/infra/database/connection-url.ts';

describe('parseConnectionUrl', () => {
  test.each([
    [
      'postgres://ada:pw@db.example.com/main',
      { host: 'db.example.com', port: 5432, database: 'main', user: 'ada', password: 'pw' },
    ],
    [
      'postgresql://ada:p%40%2F%3A@[::1]:6000/main?sslmode=require',
      { host: '::1', port: 6000, database: 'main', user: 'ada', password: 'p@/:', ssl: true },
    ],
    [
      'postgres://ada@localhost/main?host=/run/pg&port=6001&password=x',
      { host: '/run/pg', port: 6001, database: 'main', user: 'ada', password: 'x' },
    ],
    [
      'postgres://ada:pw@h/m?sslmode=no-verify',
      { host: 'h', port: 5432, database: 'm', user: 'ada', password: 'pw', ssl: 'no-verify' },
    ],
    ['postgres://ada:pw@h/m?sslmode=disable', { host: 'h', port: 5432, database: 'm', user: 'ada', password: 'pw' }],
  ])('%s', (url, config) => {
    expect(parseConnectionUrl(url)).toEqual(config);
  });

  test.each([
    ['no URL at all canary', /no URL/],
    ['mysql://ada:canary@h/m', /postgres:\/\//],
    ['postgres://ada:canary@h', /no database/],
    ['postgres://h/m', /no user/],
    ['postgres://ada:canary@h/m?sslmode=maybe', /sslmode/],
    ['postgres://ada:canary@h/m?sslmod=require', /parameter sslmod/],
    ['postgres://ada:canary%@h/m', /%/],
  ])('refuses %s, and never quotes it', (url, message) => {
    const failure = (() => {
      try {
        return parseConnectionUrl(url);
      } catch (error) {
        return error;
      }
    })() as Error;
    expect(failure).toMatchObject({ code: 'PRECONDITION', message: expect.stringMatching(message) });
    expect(JSON.stringify(failure) + failure.stack).not.toContain('canary');
  });

  test('what toConnectionUrl writes is read back the same', () => {
    for (const host of ['127.0.0.1', '::1', '/run/some where', 'db.example.com']) {
      for (const ssl of [undefined, true, 'no-verify'] as const) {
        if (host.startsWith('/') && ssl !== undefined) continue;
        const config = {
          host,
          port: 6543,
          database: 'd b/?',
          user: 'u:@',
          password: 'p%/@:#',
          ...(ssl === undefined ? {} : { ssl }),
        };
        expect(parseConnectionUrl(toConnectionUrl(config))).toEqual(config);
      }
    }
  });
});
