import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { insertStep, type Step, type StepPurpose, takeStep } from '../../domain/auth/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';
import type { BrowserSessions } from './browser-sessions.ts';
import { type CookieRequest, type CookieResponse, hashOf, randomValue } from './cookies.ts';

/** How long a challenge is good for, in seconds. */
export const challengeSeconds = 300;

/** What authenticators sign: good once, for five minutes, in the browser that got it. */
export class PasskeyChallenges {
  readonly #database: Queryable;
  readonly #sessions: BrowserSessions;

  constructor(database: Queryable, sessions: BrowserSessions) {
    this.#database = database;
    this.#sessions = sessions;
  }

  /** A fresh challenge for this browser. @param userId whose answer alone is taken */
  async give(
    purpose: StepPurpose,
    request: CookieRequest,
    response: CookieResponse,
    userId?: UserId,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const value = randomValue();
    const browser = hashOf(this.#sessions.browser(request, response));
    await insertStep(this.#database, {
      purpose,
      hash: hashOf(value),
      browser,
      userId,
      ttlSeconds: challengeSeconds,
    });
    return new Uint8Array(Buffer.from(value, 'base64url'));
  }

  /** The challenge that an answer is to, taken: it answers no other one. */
  async take(
    purpose: StepPurpose,
    request: CookieRequest,
    given: AuthenticationResponseJSON | RegistrationResponseJSON,
  ): Promise<{ readonly value: string; readonly step: Step } | undefined> {
    const value = challengeOf(given.response.clientDataJSON);
    const browser = this.#sessions.cookies.browser.read(request);
    if (value === undefined || browser === undefined) return undefined;
    const step = await takeStep(this.#database, {
      purposes: [purpose],
      hash: hashOf(value),
      browser: hashOf(browser),
    });
    return step && { value, step };
  }
}

function challengeOf(clientDataJSON: string): string | undefined {
  try {
    const data = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString('utf8')) as { challenge?: unknown };
    return typeof data.challenge === 'string' ? data.challenge : undefined;
  } catch {
    return undefined; // no client data: no challenge
  }
}
