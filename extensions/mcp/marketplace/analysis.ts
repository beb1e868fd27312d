/** What of a skill is looked at. */
export interface AnalyzedSkill {
  readonly description: string;
  readonly instructions: string;
  readonly enabled: boolean;
  readonly tags: readonly string[];
}

export interface Finding {
  readonly rule: string;
  readonly message: string;
  readonly hint: string;
}

export interface Analysis {
  readonly measures: Readonly<
    Record<'characters' | 'words' | 'tokens_about' | 'headings' | 'steps' | 'code_blocks', number>
  >;
  readonly findings: readonly Finding[];
}

/** Of English prose; tokenizers differ by some ten per cent. */
const charactersPerToken = 4;
const manyTokens = 5_000;
const fewWords = 20;

/** Measures a skill and applies rules that need no model. */
export function analysisOf({ description, instructions, enabled, tags }: AnalyzedSkill): Analysis {
  const lines = instructions.split('\n');
  const words = instructions.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
  const fences = lines.filter((line) => /^\s*(```|~~~)/.test(line)).length;
  const measures = {
    characters: instructions.length,
    words,
    tokens_about: Math.ceil(instructions.length / charactersPerToken),
    headings: lines.filter((line) => /^#{1,6}\s/.test(line)).length,
    steps: lines.filter((line) => /^\s*\d+[.)]\s/.test(line)).length,
    code_blocks: Math.floor(fences / 2),
  };
  const findings: Finding[] = [];
  const found = (rule: string, applies: boolean, message: string, hint: string): void => {
    if (applies) findings.push({ rule, message, hint });
  };
  const says = description.trim();
  found('disabled', !enabled, 'It is not offered', 'enable it when it is ready');
  found('no_tags', tags.length === 0, 'It has no tags', 'add words to find it by');
  found(
    'short_description',
    says.split(/\s+/).length < 4,
    'The description is very short',
    'say what it does and when to use it',
  );
  found(
    'no_when',
    !/\b(when|whenever|if|for|use)\b/i.test(says),
    'The description does not say when',
    'a model chooses by it: begin with "Use it when …"',
  );
  found(
    'short',
    words < fewWords,
    `The instructions have ${words} words`,
    'say what to do, in which order, and what the result looks like',
  );
  found(
    'long',
    measures.tokens_about > manyTokens,
    `The instructions take about ${measures.tokens_about} tokens`,
    'move what is rarely needed into files of their own',
  );
  found(
    'no_headings',
    words > 300 && measures.headings === 0,
    'Long instructions without a heading',
    'divide them, so that a part can be found',
  );
  found('open_code', fences % 2 === 1, 'A code block is not closed', 'close it, or the rest is read as code');
  found(
    'gap',
    /\b(TODO|TBD|FIXME|lorem ipsum)\b/i.test(instructions),
    'There are gaps left to fill',
    'write what is meant, or take them out',
  );
  const variables = [...new Set(instructions.match(/\{\{\s*[\w.]+\s*\}\}/g) ?? [])];
  found(
    'variables',
    variables.length > 0,
    `It has variables: ${variables.slice(0, 5).join(', ')}`,
    'nothing fills them in; name what is meant in words',
  );
  const twice = repeatedLine(lines);
  found('repeated', twice !== undefined, `A line is there twice: "${(twice ?? '').slice(0, 60)}"`, 'say it once');
  return { measures, findings };
}

function repeatedLine(lines: readonly string[]): string | undefined {
  const long = lines.map((line) => line.trim()).filter((line) => line.length >= 40);
  return long.find((line, index) => long.indexOf(line) !== index);
}
