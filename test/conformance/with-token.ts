import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * The server under another port of this machine, with a token for those who can't be given one. What it is called by
 * (Host and Origin) it is called by there too: only its own address is translated.
 */
export async function withToken(target: URL, token: string): Promise<{ readonly url: string } & AsyncDisposable> {
  const shim = createServer((request, response) => {
    const own = `localhost:${(shim.address() as AddressInfo).port}`;
    const headers: Record<string, string | string[] | undefined> = { ...request.headers };
    for (const name of ['host', 'origin']) {
      if (typeof headers[name] === 'string') headers[name] = headers[name].replace(own, target.host);
    }
    const { port, pathname } = target;
    const { method } = request;
    const out = httpRequest(
      { host: '127.0.0.1', port, path: pathname, method, headers: { ...headers, authorization: `Bearer ${token}` } },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    out.on('error', () => response.destroy());
    request.pipe(out);
  });
  await new Promise<void>((done) => shim.listen(0, '127.0.0.1', done));
  return {
    url: `http://localhost:${(shim.address() as AddressInfo).port}${target.pathname}`,
    [Symbol.asyncDispose]: async () => {
      shim.closeAllConnections();
      await new Promise((done) => shim.close(done));
    },
  };
}
