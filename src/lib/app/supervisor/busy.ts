import { createServer, type Server } from 'node:http';

/** Answers on an instance's control socket for as long as something else has its lock: whoever asks is told to come again. */
export function busyInstance(message: string): Server {
  return createServer((_request, response) => {
    const error = { code: 'CONFLICT', message, hint: 'Try again in a moment.' };
    response.writeHead(409, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
  });
}
