import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';

export interface SseMessage {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string;
}

/** A reader of server-sent events that keeps all that came. */
export interface EventSource {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly messages: SseMessage[];
  /** Everything, as it came. */
  text(): string;
  readonly ended: Promise<void>;
  close(): void;
}

/** Asks for `text/event-stream`; resolves with the head of the answer, whatever it is. */
export function openEventSource(options: RequestOptions): Promise<EventSource> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'text/event-stream', ...options.headers };
    const sent: ClientRequest = request({ agent: false, ...options, headers }, (response) => {
      const messages: SseMessage[] = [];
      let text = '';
      let rest = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        const blocks = (rest + chunk).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          const field = (name: string): string | undefined =>
            block
              .split('\n')
              .find((line) => line.startsWith(`${name}: `))
              ?.slice(name.length + 2);
          const data = field('data');
          if (data !== undefined) messages.push({ id: field('id'), event: field('event'), data });
        }
      });
      const ended = new Promise<void>((done) => response.once('close', () => done()));
      response.on('error', () => {}); // its end shows in `ended`
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        messages,
        text: () => text,
        ended,
        close: () => sent.destroy(),
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
