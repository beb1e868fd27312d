import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { createLocalInstance } from '../src/lib/infra/config/instance.ts';
import { ApiRig } from '../test/helpers/api-rig.ts';
import { until } from '../test/helpers/until.ts';

/*
 * What an API process holds for open streams of MCP servers: its resident memory with 1,000 of them against that before, and
 * what each of them costs. Usage: node bench/streams.ts [streams]
 */

const streams = Number(process.argv[2] ?? 1_000);
const barMb = 60;
const rssMb = async (pid: number): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 102.4) / 10;
};

const backend = createServer((req, res) => {
  if (req.method === 'GET') {
    res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    res.write('event: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n');
    return;
  }
  req.resume().on('end', () => {
    res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{}}');
  });
});
backend.listen(0, '127.0.0.1');
await once(backend, 'listening');
const rig = await ApiRig.create(['alpha'], createLocalInstance);
try {
  const { child } = await rig.startApi();
  const pid = child.pid ?? 0;
  await rig.announce('alpha', (backend.address() as AddressInfo).port);
  const authorization = `Bearer ${await rig.token('alpha')}`;
  const agent = new Agent({ keepAlive: true });
  const ask = (method: 'GET' | 'POST') =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const headers = {
        authorization,
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
      };
      const req = request(rig.endpoint('alpha'), {
        method,
        headers,
        ...(method === 'POST' ? { agent } : { agent: false }),
      });
      req.on('error', reject).on('response', resolve);
      req.end(method === 'POST' ? '{"jsonrpc":"2.0","id":1,"method":"ping"}' : undefined);
    });
  await until('the server is known', async () => {
    const res = await ask('POST');
    res.resume();
    return res.statusCode === 200;
  });
  // What a warm process holds anyway is none of the streams'.
  for (let n = 0; n < 2_000; n += 1) {
    const res = await ask('POST');
    await once(res.resume(), 'end');
  }
  const idleMb = await rssMb(pid);
  const open: IncomingMessage[] = [];
  for (let at = 0; at < streams; at += 50) {
    const batch = Array.from({ length: Math.min(50, streams - at) }, async () => {
      const res = await ask('GET');
      if (res.statusCode !== 200) throw new Error(`a stream was refused: ${res.statusCode}`);
      await once(res, 'data');
      open.push(res.resume());
    });
    await Promise.all(batch);
  }
  const openMb = await rssMb(pid);
  for (const res of open) res.destroy();
  const overMb = Math.round((openMb - idleMb) * 10) / 10;
  const results = {
    bench: 'streams',
    date: new Date().toISOString().slice(0, 10),
    method: `one API process, warmed by 2,000 requests; ${streams} streams (GET) to one server, each on a connection of its own and with one event; resident memory before and after`,
    machine: { cpu: cpus()[0]?.model.trim(), memoryGb: Math.round(totalmem() / 2 ** 30), node: process.version },
    streams,
    idleMb,
    openMb,
    overMb,
    kbEach: Math.round((overMb * 1024 * 10) / streams) / 10,
    bar: { overMb: barMb, ratio: Math.round((overMb / barMb) * 100) / 100, met: overMb <= barMb },
  };
  process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  await mkdir(join(import.meta.dirname, 'results'), { recursive: true });
  if (streams === 1_000)
    await writeFile(join(import.meta.dirname, 'results/streams.json'), `${JSON.stringify(results, null, 2)}\n`);
  if (!results.bar.met) process.exitCode = 1;
} finally {
  await rig.remove();
  backend.closeAllConnections();
  backend.close();
}
