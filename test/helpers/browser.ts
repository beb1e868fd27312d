/** A browser's cookies for requests that are made by hand: kept, replaced and thrown away as a browser would. */
export class CookieJar {
  readonly #cookies = new Map<string, string>();

  /** What a request carries. */
  get request(): { headers: { cookie?: string; 'user-agent': string } } {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    return { headers: { 'user-agent': 'Test Browser', ...(cookie === '' ? {} : { cookie }) } };
  }

  /** An answer whose cookies are kept here. */
  get response(): { appendHeader(name: string, value: string): void } {
    return { appendHeader: (name, value) => name === 'set-cookie' && this.keep([value]) };
  }

  /** All of them, by name. */
  get all(): ReadonlyMap<string, string> {
    return this.#cookies;
  }

  keep(setCookies: readonly string[]): void {
    for (const line of setCookies) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
      const name = pair.slice(0, pair.indexOf('='));
      if (attributes.includes('Max-Age=0')) this.#cookies.delete(name);
      else this.#cookies.set(name, pair.slice(name.length + 1));
    }
  }

  /** The same cookies in another hand. */
  copy(): CookieJar {
    const jar = new CookieJar();
    for (const [name, value] of this.#cookies) jar.#cookies.set(name, value);
    return jar;
  }
}
