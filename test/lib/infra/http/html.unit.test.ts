import { describe, expect, it } from 'vitest';
import { html, plainName } from '../../../../src/lib/infra/http/html.ts';

describe('html', () => {
  it('auth 11: escapes what stands in text and in attributes', () => {
    const name = `"><script>alert('x')</script>&amp;`;
    expect(html`<b title="${name}">${name}</b>`.toString()).toBe(
      '<b title="&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;">&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;</b>',
    );
  });

  it('joins lists, takes templates as they are, and leaves nothing for what is absent', () => {
    const items = ['<', 2].map((item) => html`<li>${item}</li>`);
    expect(html`<ul>${items}</ul>${undefined}${null}${false}${html`<i></i>`}${0}`.toString()).toBe(
      '<ul><li>&lt;</li><li>2</li></ul><i></i>0',
    );
  });

  it('auth 11: shows a name on one line, without what draws nothing or turns the direction, and not for ever', () => {
    expect(plainName('Good\u202eevil\u0000\n  App\u200b\ufeff')).toBe('Goodevil App');
    expect(plainName('x'.repeat(500), 10)).toBe(`${'x'.repeat(9)}…`);
    expect(plainName('日本語 🚀')).toBe('日本語 🚀');
  });
});
