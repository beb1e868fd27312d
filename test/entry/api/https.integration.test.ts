import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Certificate } from '../../../src/entry/api/certificate.ts';
import { loadProfile, profileFile } from '../../../src/lib/infra/config/profile.ts';
import { ConfigInvalidError } from '../../../src/lib/shared/errors.ts';
import { startTestApi, type TestApi } from '../../helpers/api.ts';
import { selfSigned } from '../../helpers/certificate.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { until } from '../../helpers/until.ts';

const nobody = { jwks: { keys: [] }, verify: () => Promise.reject(new Error('not asked')) };
const first = selfSigned();
const silent = pino({ level: 'silent' });

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

/** By a client that knows no other authority than the certificate. */
function ask(port: number, path: string, ca: string, agent: Agent | false = false): Promise<Answer> {
  return new Promise((done, fail) => {
    const request = httpsRequest({ host: 'localhost', port, path, ca, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => done({ status: response.statusCode, text }));
    });
    request.once('error', fail).end();
  });
}

/** What becomes of a connection; the bytes that came, or the error's code. */
function handshake(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((done) => {
    const socket = tlsConnect({ host: 'localhost', port, ca: first.cert, ...options }, () => {
      socket.end();
      done(socket.getProtocol() ?? 'none');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
  });
}

describe('by https', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi(nobody, {}, { tls: first });
  });
  afterAll(() => api.close());

  it('the API answers on every loopback address, both ways in', async () => {
    expect((await ask(api.endpoint.port, '/healthz', first.cert)).status).toBe(200);
    expect((await ask(api.endpoint.port, '/api/v1/mcp/alpha/mcp', first.cert)).status).toBe(401);
  });

  it('nothing older than TLS 1.2 is spoken', async () => {
    expect(await handshake(api.endpoint.port, {})).toBe('TLSv1.3');
    expect(await handshake(api.endpoint.port, { maxVersion: 'TLSv1.2' })).toBe('TLSv1.2');
    const old = await handshake(api.endpoint.port, {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    expect(old).toMatch(/^E(?:RR_SSL|CONNRESET)/);
  });

  it('a client that speaks plain HTTP is let go', async () => {
    const received = await new Promise<string>((done) => {
      const socket = connect(api.endpoint.port, 'localhost', () =>
        socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'),
      );
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
      });
      socket.on('error', () => {});
      socket.once('close', () => done(text));
    });
    expect(received).not.toContain('HTTP/1.1 200');
  });

  it('connections are known, and stopping closes them', async () => {
    const other = await startTestApi(nobody, {}, { tls: first });
    const agent = new Agent({ keepAlive: true });
    await ask(other.endpoint.port, '/healthz', first.cert, agent);
    expect(other.endpoint.connections).toBe(1);
    agent.destroy();
    await until('the connection is gone', () => other.endpoint.connections === 0);
    const kept = new Agent({ keepAlive: true });
    await ask(other.endpoint.port, '/healthz', first.cert, kept);
    expect(await other.endpoint.drain({ deadlineMs: 5000 })).toBe(0);
    kept.destroy();
    await other.close();
  });
});

describe('a certificate', () => {
  it('is taken from its files again when they are renewed, and not before both fit', async () => {
    await using folder = await temporaryFolder();
    const [certificate, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')];
    await writeFile(certificate, first.cert);
    await writeFile(key, first.key, { mode: 0o600 });
    const open = await Certificate.open({ certificate, key }, silent);
    if (open === undefined) throw new Error('no certificate');
    const api = await startTestApi(nobody, {}, { tls: open.pair });
    open.follow((pair) => api.endpoint.renew(pair), 20);
    const second = selfSigned();
    await writeFile(certificate, second.cert);
    expect((await ask(api.endpoint.port, '/healthz', first.cert)).status).toBe(200);
    await writeFile(key, second.key);
    await until('the new certificate is shown', async () => {
      const answer = await ask(api.endpoint.port, '/healthz', second.cert).catch(() => undefined);
      return answer?.status === 200;
    });
    expect(new X509Certificate(open.pair.cert).fingerprint).toBe(new X509Certificate(second.cert).fingerprint);
    open.close();
    await api.close();
  });

  async function findings(prepare: (folder: string) => Promise<void>): Promise<string[]> {
    await using folder = await temporaryFolder();
    const dir = folder.path;
    await mkdir(join(dir, 'profiles/local'), { recursive: true });
    const own = join(dir, 'profiles/local');
    await writeFile(join(own, 'c.pem'), first.cert);
    await writeFile(join(own, 'k.pem'), first.key, { mode: 0o600 });
    await writeFile(
      profileFile({ projectDir: dir }, 'local'),
      'server:\n  https:\n    certificate: c.pem\n    key: k.pem\n',
    );
    await prepare(own);
    try {
      const { server } = await loadProfile({ projectDir: dir }, 'local', {});
      return [server.external_url, String(server.https.key?.startsWith(own))];
    } catch (error) {
      if (!(error instanceof ConfigInvalidError)) throw error;
      return error.issues.map(({ line, column, message }) => `${line}:${column} ${message.replaceAll(own, '…')}`);
    }
  }

  it('that fits makes the address one of https', async () => {
    expect(await findings(async () => {})).toEqual(['https://localhost:8080', 'true']);
  });

  it.each([
    [
      'is missing',
      (own: string) => writeFile(join(own, 'profile.yaml'), 'server: {https: {certificate: no.pem, key: k.pem}}'),
      ['1:31 there is no file …/no.pem'],
    ],
    ['is no PEM', (own: string) => writeFile(join(own, 'c.pem'), 'x'), ['3:18 the certificate is not PEM']],
    [
      'has another key',
      (own: string) => writeFile(join(own, 'k.pem'), selfSigned().key),
      ['4:10 the private key is not that of the certificate'],
    ],
    ['has a broken key', (own: string) => writeFile(join(own, 'k.pem'), 'x'), ['4:10 the private key can not be read']],
    [
      'has a key that all may read',
      (own: string) => chmod(join(own, 'k.pem'), 0o644),
      ['4:10 the private key …/k.pem is open to other users (mode 644)'],
    ],
    [
      'has no key',
      (own: string) => writeFile(join(own, 'profile.yaml'), 'server: {https: {certificate: c.pem}}'),
      ['1:31 `server.https.key` is missing'],
    ],
  ] as const)('that %s is refused with its place', async (_what, prepare, expected) => {
    expect(await findings(async (own) => prepare(own))).toEqual(expected);
  });
});
