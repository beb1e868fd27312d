import { hash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import pg from 'pg';
import { Pool } from 'undici';

// The floor: as little as a gateway can do that checks a token and commits an intent before and an outcome after each
// call. No scopes, no parsing, no redaction, no digests, no signed identity, no bounds, no refusals, no second chance.
// Rows are written in groups, as ours are, and verified tokens are remembered by their digest.

interface Config {
  readonly database: pg.ClientConfig;
  readonly jwks: JSONWebKeySet;
  readonly audience: string;
  readonly backend: number;
}

interface Waiting {
  readonly row: string;
  readonly done: () => void;
}

const config = JSON.parse(process.env['FLOOR_CONFIG'] ?? '') as Config;
const keys = createLocalJWKSet(config.jwks);
const verified = new Map<string, number>();
const pool = new Pool(`http://127.0.0.1:${config.backend}`);

class Writer {
  readonly #client = new pg.Client(config.database);
  readonly #table: string;
  #waiting: Waiting[] = [];
  #busy = false;

  constructor(table: string) {
    this.#table = table;
  }

  async open(): Promise<void> {
    await this.#client.connect();
    await this.#client.query(
      `CREATE TABLE IF NOT EXISTS ${this.#table} (id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())`,
    );
  }

  commit(row: string): Promise<void> {
    return new Promise((done) => {
      this.#waiting.push({ row, done });
      if (!this.#busy) setImmediate(() => void this.#write());
    });
  }

  async #write(): Promise<void> {
    if (this.#busy || this.#waiting.length === 0) return;
    this.#busy = true;
    const batch = this.#waiting;
    this.#waiting = [];
    await this.#client.query({
      name: `insert_${this.#table}`,
      text: `INSERT INTO ${this.#table} (id) SELECT unnest($1::uuid[])`,
      values: [batch.map(({ row }) => row)],
    });
    this.#busy = false;
    for (const { done } of batch) done();
    await this.#write();
  }
}

const intents = new Writer('floor_intents');
const outcomes = new Writer('floor_outcomes');
await Promise.all([intents.open(), outcomes.open()]);

async function verify(authorization: string): Promise<void> {
  const token = authorization.slice('Bearer '.length);
  const digest = hash('sha256', token, 'base64');
  if ((verified.get(digest) ?? 0) > Date.now()) return;
  const { payload } = await jwtVerify(token, keys, { audience: config.audience });
  verified.set(digest, Math.min((payload.exp ?? 0) * 1_000, Date.now() + 60_000));
}

function forward(body: Buffer): Promise<{ status: number; type: string; answer: Buffer }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status = 0;
    let type = '';
    const headers = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream'];
    pool.dispatch(
      { path: '/mcp', method: 'POST', headers, body },
      {
        onRequestStart: () => {},
        onResponseStart: (_, code, received) => {
          status = code;
          type = String(received['content-type']);
        },
        onResponseData: (_, chunk) => {
          chunks.push(chunk);
        },
        onResponseEnd: () => resolve({ status, type, answer: Buffer.concat(chunks) }),
        onResponseError: (_, error) => reject(error),
      },
    );
  });
}

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', async () => {
    await verify(req.headers.authorization ?? '');
    const id = randomUUID();
    await intents.commit(id);
    const { status, type, answer } = await forward(Buffer.concat(chunks));
    await outcomes.commit(id);
    res.writeHead(status, { 'content-type': type, 'content-length': answer.length });
    res.end(answer);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.stdin.resume().on('end', () => process.exit(0));
