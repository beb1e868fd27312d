import { SoftwareAuthenticator } from './authenticator.ts';
import { type Answer, CookieBrowser } from './cookie-browser.ts';

/** Somebody with a passkey, who goes through our pages as a person does: reads the forms, ticks, presses. */
export class Person {
  readonly #origin: string;
  readonly #authenticator: SoftwareAuthenticator;
  browser: CookieBrowser;

  /** @param browser at which somebody may be signed in */
  constructor(origin: string, browser = new CookieBrowser(origin)) {
    this.#origin = origin;
    this.#authenticator = new SoftwareAuthenticator(origin);
    this.browser = browser;
  }

  /** Makes the first passkey by a setup link, and leaves the browser in which that was done. */
  static async setUp(link: string): Promise<Person> {
    const { origin, href } = new URL(link);
    const person = new Person(origin);
    const { browser } = person;
    await browser.follow('/auth/owner', { form: formIn(await browser.follow(href), '/auth/owner').fields });
    const { fields } = formIn(await browser.follow('/auth/owner'));
    await person.#passkey('register', fields);
    person.browser = new CookieBrowser(origin);
    return person;
  }

  /**
   * Opens an address, signs in where asked and allows what is asked for: what is ticked beforehand, and the scopes of
   * `also`. @returns the client's address that it ends at
   */
  async allow(address: string | URL, also: readonly string[] = []): Promise<URL> {
    let answer = await this.browser.follow(String(address));
    for (let steps = 0; steps < 6; steps += 1) {
      if (answer.status >= 300 && answer.status < 400) return new URL(answer.headers.location ?? '');
      const { pathname } = new URL(answer.url);
      if (answer.status !== 200) throw new Error(`${pathname} answered ${answer.status}: ${answer.text}`);
      if (pathname === '/auth/sign-in') {
        answer = await this.browser.follow(await this.#passkey('sign-in', formIn(answer).fields));
      } else if (pathname.startsWith('/auth/interaction/')) {
        const { action, fields } = formIn(answer, pathname, also);
        answer = await this.browser.follow(action, { form: [...fields, ['decision', 'allow']] });
      } else throw new Error(`Nobody knows how to go on from ${pathname}`);
    }
    throw new Error('The pages lead round in circles');
  }

  async #passkey(what: 'register' | 'sign-in', fields: Fields): Promise<string> {
    const { csrf = '', ...rest } = Object.fromEntries(fields);
    const ask = async (path: string, json: object) => {
      const answer = await this.browser.ask(path, { json, headers: { 'x-csrf-token': csrf, origin: this.#origin } });
      if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}: ${answer.text}`);
      return answer.json() as { options: never; location: string };
    };
    const { options } = await ask(`/auth/passkeys/${what}/options`, rest);
    const signed = what === 'register' ? this.#authenticator.create(options) : this.#authenticator.get(options);
    return (await ask(`/auth/passkeys/${what}`, { ...rest, response: signed })).location;
  }
}

type Fields = (readonly [string, string])[];

/** The first form of a page, or the one that is sent to `action`: what a browser would send without the button. */
function formIn(
  { text, url }: Answer,
  action?: string,
  tick: readonly string[] = [],
): { action: string; fields: Fields } {
  const forms = text.matchAll(/<form([^>]*)>([\s\S]*?)<\/form>/g);
  for (const [, head = '', body = ''] of forms) {
    const to = attribute(head, 'action') ?? url;
    if (action !== undefined && to !== action) continue;
    const fields = [...body.matchAll(/<input([^>]*)>/g)].flatMap(([, input = '']): Fields => {
      const [name, value = 'on'] = [attribute(input, 'name'), attribute(input, 'value')];
      const sent = attribute(input, 'type') !== 'checkbox' || / checked/.test(input) || tick.includes(value);
      return name === undefined || !sent ? [] : [[name, value]];
    });
    return { action: to, fields };
  }
  throw new Error(`There is no such form at ${url}: ${text}`);
}

function attribute(tag: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]?.replaceAll('&amp;', '&');
}
