import { describe, expect, it } from 'vitest';
import { isShortage, pastShortage } from '../../../../src/lib/infra/process/shortage.ts';

const coded = (code: string): Error => Object.assign(new Error(code), { code });

describe('a shortage of ours', () => {
  it('is told from what is wrong with others, also as the cause of an error', () => {
    expect(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'].map((code) => isShortage(coded(code)))).not.toContain(false);
    expect(isShortage(new Error('no look', { cause: coded('EMFILE') }))).toBe(true);
    expect(['ECONNREFUSED', 'ENOENT', 'EACCES'].map((code) => isShortage(coded(code)))).not.toContain(true);
    expect(isShortage('EMFILE')).toBe(false);
  });

  it('is waited out, until the signal; any other error is thrown at once', async () => {
    let left = 2;
    const short = async (): Promise<string> => {
      left -= 1;
      if (left >= 0) throw coded('EMFILE');
      return 'done';
    };
    expect(await pastShortage(short)).toBe('done');
    await expect(pastShortage(() => Promise.reject(coded('ENOENT')))).rejects.toMatchObject({ code: 'ENOENT' });
    const ended = pastShortage(() => Promise.reject(coded('EMFILE')), AbortSignal.timeout(10));
    await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
  });
});
