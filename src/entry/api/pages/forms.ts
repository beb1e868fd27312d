import { createHmac, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Cookie } from '../../../lib/app/people/cookies.ts';
import { randomValue } from '../../../lib/app/people/cookies.ts';
import { type Html, html } from '../../../lib/infra/http/html.ts';
import { ForbiddenError, UsageError } from '../../../lib/shared/errors.ts';

/** The field that carries the token, and the header in which scripts send it. */
const csrfField = 'csrf';
const csrfHeader = 'x-csrf-token';

/** The fields of a form that was sent, each once. */
export type FormFields = Readonly<Record<string, string | readonly string[]>>;

/**
 * Tokens against requests that another site's page has a browser send. The form carries a MAC of who is signed in, made
 * with a secret that the browser keeps in a cookie: who sets that cookie (on loopback, any program on another port can)
 * still lacks the session's id.
 */
export class CsrfTokens {
  readonly #cookie: Cookie;
  /** Secrets that were given out in the answer that is being made. */
  readonly #given = new WeakMap<FastifyRequest, string>();

  /** @param cookie what the browser is known by */
  constructor(cookie: Cookie) {
    this.#cookie = cookie;
  }

  /** The token for a page's forms. @param sessionId the browser session of who is signed in, if anybody is */
  issue(request: FastifyRequest, reply: FastifyReply, sessionId?: string): string {
    let secret = this.#cookie.read(request) ?? this.#given.get(request);
    if (secret === undefined) {
      secret = randomValue();
      this.#given.set(request, secret);
      this.#cookie.write(reply.raw, secret);
    }
    return tokenOf(secret, sessionId);
  }

  /** @throws ForbiddenError when the request was not sent by a page of ours to this very session */
  check(request: FastifyRequest, sessionId?: string): void {
    const site = request.headers['sec-fetch-site'];
    const sent = request.headers[csrfHeader] ?? (request.body as FormFields | undefined)?.[csrfField];
    const secret = this.#cookie.read(request);
    const ours = site === undefined || site === 'same-origin';
    if (ours && secret !== undefined && typeof sent === 'string' && same(sent, tokenOf(secret, sessionId))) return;
    throw new ForbiddenError('This form was opened too long ago, or in another sign-in', {
      hint: 'Go back, load the page again and repeat it.',
      data: { reason: 'csrf' },
    });
  }
}

/** The hidden field that every form of ours carries. */
export function csrfInput(token: string): Html {
  return html`<input type="hidden" name="${csrfField}" value="${token}">`;
}

/** Lets the routes of this plugin take forms; the body is `FormFields`. */
export function acceptForms(app: FastifyInstance): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: 16 * 1024 },
    (_request, body, done) => {
      try {
        done(null, parseForm(String(body)));
      } catch (error) {
        done(error as Error);
      }
    },
  );
}

/** Fields named `scope.…` come as lists, every other one at most once. */
function parseForm(body: string): FormFields {
  const fields: Record<string, string | string[]> = Object.create(null) as Record<string, string>;
  for (const [name, value] of new URLSearchParams(body)) {
    const before = fields[name];
    if (name.startsWith('scope.')) fields[name] = [...(before ?? []), value];
    else if (before !== undefined) throw new UsageError(`The field ${name} was sent twice`);
    else fields[name] = value;
  }
  return fields;
}

/** One field of a form; none when it was left empty. */
export function fieldOf(request: FastifyRequest, name: string): string | undefined {
  const value = (request.body as FormFields | undefined)?.[name];
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

function tokenOf(secret: string, sessionId: string | undefined): string {
  return createHmac('sha256', secret)
    .update(`csrf 1 ${sessionId ?? ''}`)
    .digest('base64url');
}

function same(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}
