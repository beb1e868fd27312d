import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly url: string;
  json(): Record<string, unknown>;
}

export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly form?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  readonly json?: object;
}

interface Kept {
  readonly value: string;
  readonly path: string;
}

/** Cookies with their paths, and the redirects of one origin: what a browser does without showing anything. */
export class CookieBrowser {
  readonly #origin: string;
  readonly cookies = new Map<string, Kept>();

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** One request, without following where it leads. */
  ask(address: string, { method, headers = {}, form, json }: Asking = {}): Promise<Answer> {
    const url = new URL(address, this.#origin);
    const body =
      json === undefined
        ? form && new URLSearchParams(form as Record<string, string>).toString()
        : JSON.stringify(json);
    const type = json === undefined ? 'application/x-www-form-urlencoded' : 'application/json';
    return new Promise((done, fail) => {
      const request = httpRequest(
        {
          host: '127.0.0.1',
          port: url.port,
          path: `${url.pathname}${url.search}`,
          method: method ?? (body === undefined ? 'GET' : 'POST'),
          headers: {
            host: url.host,
            accept: 'text/html',
            ...(this.cookieHeader(url.pathname) ?? {}),
            ...(body === undefined ? {} : { 'content-type': type }),
            ...(headers as Record<string, string>),
          },
          agent: false,
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () => {
            this.keep(response.headers['set-cookie'] ?? [], url.pathname);
            const { statusCode: status = 0, headers: sent } = response;
            done({ status, headers: sent, text, url: url.href, json: () => JSON.parse(text) });
          });
        },
      );
      request.on('error', fail).end(body);
    });
  }

  /** Goes on as long as redirects stay here. @returns the last answer, whose `location` may lead elsewhere */
  async follow(address: string, asking: Asking = {}): Promise<Answer> {
    let answer = await this.ask(address, asking);
    for (let steps = 0; steps < 15; steps += 1) {
      const { location } = answer.headers;
      if (location === undefined || answer.status < 300 || answer.status > 399) return answer;
      const next = new URL(location, answer.url);
      if (next.origin !== this.#origin) return answer;
      answer = await this.ask(next.href);
    }
    throw new Error('The redirects lead round in circles');
  }

  keep(lines: readonly string[], path = '/'): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
      const [name = '', value = ''] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const named = (attribute: string) =>
        attributes.find((text) => text.toLowerCase().startsWith(`${attribute}=`))?.slice(attribute.length + 1);
      const over = named('max-age') === '0' || (named('expires') ?? '').includes('1970');
      if (over) this.cookies.delete(name);
      else this.cookies.set(name, { value, path: named('path') ?? path });
    }
  }

  /** What it sends along to that path. */
  cookieHeader(path: string): { cookie: string } | undefined {
    const fit = [...this.cookies].filter(
      ([, kept]) => path === kept.path || path.startsWith(kept.path.replace(/\/?$/, '/')),
    );
    return fit.length === 0 ? undefined : { cookie: fit.map(([name, { value }]) => `${name}=${value}`).join('; ') };
  }
}
