import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { cookieHeader, cookieName, readCookie } from '../../../lib/infra/http/cookies.ts';
import { type Html, html } from '../../../lib/infra/http/html.ts';
import { ForbiddenError, UsageError } from '../../../lib/shared/errors.ts';

/** The field that carries the token, and the header in which scripts send it. */
const csrfField = 'csrf';
const csrfHeader = 'x-csrf-token';

const secretForm = /^[A-Za-z0-9_-]{43}$/;

/** The fields of a form that was sent, each once. */
export type FormFields = Readonly<Record<string, string | readonly string[]>>;

/**
 * Tokens against requests that another site's page has a browser send. The browser keeps a secret in a cookie, the form
 * a MAC of who is signed in under that secret: who sets the cookie (on loopback, any program on another port can) still
 * lacks the session's id.
 */
export class CsrfTokens {
  readonly #cookie: string;

  /** @param issuer decides how the cookie is named */
  constructor(issuer: string) {
    this.#cookie = cookieName('sp_form', issuer);
  }

  /** The token for a page's forms. @param sessionId the browser session of who is signed in, if anybody is */
  issue(request: FastifyRequest, reply: FastifyReply, sessionId?: string): string {
    let secret = this.#secret(request);
    if (secret === undefined) {
      secret = randomBytes(32).toString('base64url');
      appendCookie(reply, cookieHeader(this.#cookie, secret));
      // A page that asks twice gets one cookie.
      request.headers.cookie = [request.headers.cookie, `${this.#cookie}=${secret}`].filter(Boolean).join('; ');
    }
    return tokenOf(secret, sessionId);
  }

  /** @throws ForbiddenError when the request was not sent by a page of ours to this very session */
  check(request: FastifyRequest, sessionId?: string): void {
    const site = request.headers['sec-fetch-site'];
    const sent = request.headers[csrfHeader] ?? (request.body as FormFields | undefined)?.[csrfField];
    const secret = this.#secret(request);
    const ours = site === undefined || site === 'same-origin';
    if (ours && secret !== undefined && typeof sent === 'string' && same(sent, tokenOf(secret, sessionId))) return;
    throw new ForbiddenError('This form was opened too long ago, or in another sign-in', {
      hint: 'Go back, load the page again and repeat it.',
      data: { reason: 'csrf' },
    });
  }

  #secret(request: FastifyRequest): string | undefined {
    const value = readCookie(request, this.#cookie);
    return value !== undefined && secretForm.test(value) ? value : undefined;
  }
}

/** The hidden field that every form of ours carries. */
export function csrfInput(token: string): Html {
  return html`<input type="hidden" name="${csrfField}" value="${token}">`;
}

/** Sets a cookie beside those that are set already. */
function appendCookie(reply: FastifyReply, cookie: string): void {
  reply.header('set-cookie', cookie);
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
