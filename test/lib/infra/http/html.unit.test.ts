import { describe, expect, it } from 'vitest';
import { cookieHeader, cookieName, readCookie } from '../../../../src/lib/infra/http/cookies.ts';
import { html, plainName, trustedHtml } from '../../../../src/lib/infra/http/html.ts';

describe('html', () => {
  it('auth 11: escapes what stands in text and in attributes', () => {
    const name = `"><script>alert('x')</script>&amp;`;
    expect(html`<b title="${name}">${name}</b>`.toString()).toBe(
      '<b title="&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;">&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;</b>',
    );
  });

  it('joins lists, takes templates as they are, and leaves nothing for what is absent', () => {
    const items = ['<', 2].map((item) => html`<li>${item}</li>`);
    expect(html`<ul>${items}</ul>${undefined}${null}${false}${trustedHtml('<i></i>')}${0}`.toString()).toBe(
      '<ul><li>&lt;</li><li>2</li></ul><i></i>0',
    );
  });

  it('auth 11: shows a name on one line, without what draws nothing or turns the direction, and not for ever', () => {
    expect(plainName('Good\u202eevil\u0000\n  App\u200b\ufeff')).toBe('Goodevil App');
    expect(plainName('x'.repeat(500), 10)).toBe(`${'x'.repeat(9)}…`);
    expect(plainName('日本語 🚀')).toBe('日本語 🚀');
  });
});

describe('cookies', () => {
  it('carry __Host- and Secure by https, neither on loopback', () => {
    expect(cookieHeader(cookieName('a', 'https://x.example'), 'v', { maxAge: 5 })).toBe(
      '__Host-a=v; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=5',
    );
    expect(cookieHeader(cookieName('a', 'http://localhost:8080'), 'v')).toBe('a=v; Path=/; HttpOnly; SameSite=Lax');
  });

  it('are read by their whole name, and not at all when one is there twice', () => {
    expect(readCookie({ headers: { cookie: 'xa=1; a=2=3' } }, 'a')).toBe('2=3');
    expect(readCookie({ headers: { cookie: 'a=1; a=2' } }, 'a')).toBeUndefined();
    expect(readCookie({ headers: {} }, 'a')).toBeUndefined();
  });
});
