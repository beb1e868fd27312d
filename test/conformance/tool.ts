import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = join(import.meta.dirname, '../../node_modules/@modelcontextprotocol/conformance/dist/index.js');

interface Visit {
  /** A client, and the port at which the tool is answered in its place. */
  readonly client: { readonly id: string; readonly port: number };
  /** Opens the address that the tool prints, as its user would, up to the redirect to the client. */
  readonly open: (address: string) => Promise<URL>;
}

/**
 * Runs the official conformance tool on the Node.js of this process. @returns the status of each check by its id, as the
 * tool wrote them down; a scenario that failed to run is none
 */
export async function runConformance(
  what: 'authorization' | 'client' | 'server',
  flags: readonly string[],
  visit?: Visit,
): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'sp-conformance-'));
  try {
    const client = visit === undefined ? [] : ['--client-id', visit.client.id, '--port', String(visit.client.port)];
    const child = spawn(process.execPath, [program, what, ...flags, ...client, '--output-dir', folder], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: what === 'client' ? 120_000 : 60_000,
    });
    let said = '';
    let visited: Promise<void> | undefined;
    const hear = (chunk: string) => {
      said += chunk;
      const address = /^http\S+\/authorize\?\S+$/m.exec(said)?.[0];
      if (address === undefined || visit === undefined) return;
      visited ??= visit.open(address).then(async (back) => void (await fetch(back)));
      visited.catch(() => child.kill());
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', hear);
    const [code] = await once(child, 'close');
    await visited;
    const checks = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('checks.json'))
      .flatMap((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as { id: string; status: string }[]);
    if (code !== 0 || checks.length === 0) throw new Error(`The conformance tool ended with ${code}:\n${said}`);
    return Object.fromEntries(checks.map(({ id, status }) => [id, status]));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
