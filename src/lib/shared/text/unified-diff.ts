/** Lines around a change that are shown with it. */
const context = 3;
/** Most pairs of lines that are compared; beyond, all of the old goes and all of the new comes. */
const limit = 4_000_000;

interface Line {
  readonly mark: ' ' | '-' | '+';
  readonly text: string;
}

/** What differs between two texts, line by line, in the unified format (without file names); empty where nothing does. */
export function unifiedDiff(before: string, after: string): string {
  const lines = compared(before === '' ? [] : before.split('\n'), after === '' ? [] : after.split('\n'));
  const changed = lines.flatMap(({ mark }, index) => (mark === ' ' ? [] : [index]));
  const out: string[] = [];
  for (let at = 0; at < changed.length; ) {
    let last = at;
    while (last + 1 < changed.length && (changed[last + 1] ?? 0) - (changed[last] ?? 0) <= context * 2) last += 1;
    const start = Math.max(0, (changed[at] ?? 0) - context);
    const end = Math.min(lines.length, (changed[last] ?? 0) + context + 1);
    const count = (part: readonly Line[], mark: '-' | '+') => part.filter((line) => line.mark !== mark).length;
    const ahead = lines.slice(0, start);
    const hunk = lines.slice(start, end);
    const old = `${count(ahead, '+') + 1},${count(hunk, '+')}`;
    out.push(`@@ -${old} +${count(ahead, '-') + 1},${count(hunk, '-')} @@`);
    out.push(...hunk.map(({ mark, text }) => mark + text));
    at = last + 1;
  }
  return out.join('\n');
}

/** By the longest common subsequence of lines. */
function compared(before: readonly string[], after: readonly string[]): Line[] {
  const gone = before.map((text): Line => ({ mark: '-', text }));
  const come = after.map((text): Line => ({ mark: '+', text }));
  if (before.length * after.length > limit) return [...gone, ...come];
  const width = after.length + 1;
  const common = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      const here = i * width + j;
      const [down, right] = [common[here + width] ?? 0, common[here + 1] ?? 0];
      common[here] = before[i] === after[j] ? (common[here + width + 1] ?? 0) + 1 : Math.max(down, right);
    }
  }
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      lines.push({ mark: ' ', text: before[i] as string });
      i += 1;
      j += 1;
    } else if ((common[(i + 1) * width + j] ?? 0) >= (common[i * width + j + 1] ?? 0)) lines.push(gone[i++] as Line);
    else lines.push(come[j++] as Line);
  }
  return [...lines, ...gone.slice(i), ...come.slice(j)];
}
