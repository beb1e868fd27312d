import { describe, expect, it } from 'vitest';
import { type Checkout, makeCheckout } from '../helpers/checkout.ts';

const test = (body: string) => `import { expect, it } from 'vitest';\n${body}\n`;

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

async function checkoutWith(files: Readonly<Record<string, string>>): Promise<Checkout> {
  const checkout = await makeCheckout();
  await checkout.write(
    'vitest.config.ts',
    "export default { test: { include: ['test/*.test.ts'], passWithNoTests: true } };\n",
  );
  for (const [file, body] of Object.entries(files)) await checkout.write(`test/${file}.test.ts`, test(body));
  return checkout;
}

describe('scripts/test.mjs', () => {
  it('ends with the totals alone on the last line', async () => {
    await using checkout = await checkoutWith({
      a: "it('a', () => {});\nit('b', () => {});\nit.skip('c', () => {});\nit.todo('d');",
    });
    const { code, stdout } = await checkout.run('test.mjs');
    expect(lastLine(stdout)).toBe('2 passed, 0 failed, 2 skipped');
    expect(code).toBe(0);
  });

  it('fails with a test that fails, and counts a file that cannot be loaded as one', async () => {
    await using checkout = await checkoutWith({
      a: "it('a', () => {});\nit('b', () => expect(1).toBe(2));",
      b: "import './nowhere.ts';\nit('c', () => {});",
    });
    const { code, stdout } = await checkout.run('test.mjs');
    expect(lastLine(stdout)).toBe('1 passed, 2 failed, 0 skipped');
    expect(code).toBe(1);
  });

  it('hands arguments to vitest, and fails when no test ran', async () => {
    await using checkout = await checkoutWith({ a: "it('a', () => {});", b: "it('b', () => {});" });
    expect(lastLine((await checkout.run('test.mjs', ['a.test'])).stdout)).toBe('1 passed, 0 failed, 0 skipped');
    const nothing = await checkout.run('test.mjs', ['no-such-file']);
    expect(nothing.code).toBe(1);
    expect(nothing.stderr).toContain('no test ran');
  });

  it('fails when an error is thrown outside of every test', async () => {
    await using checkout = await checkoutWith({ a: "it('a', () => { Promise.reject(new Error('unhandled')); });" });
    expect((await checkout.run('test.mjs')).code).toBe(1);
  });
});
