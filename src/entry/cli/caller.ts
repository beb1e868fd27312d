/** A variable that programs set for what they start, and what it says about them. */
export interface CallerMark {
  readonly variable: string;
  /** The only value that counts; any that is not empty, 0 or false when absent. */
  readonly value?: string;
  readonly name: string;
}

/**
 * Variables by which agents mark the commands that they run. From the list of `@vercel/detect-agent` (1.2) without those
 * that are also set in terminals in which people type: `CURSOR_TRACE_ID`, `REPL_ID` and Copilot's settings.
 */
export const agentMarks: readonly CallerMark[] = [
  { variable: 'AI_AGENT', name: 'any agent; its value is the name' },
  { variable: 'CLAUDECODE', name: 'Claude Code' },
  { variable: 'CLAUDE_CODE', name: 'Claude Code' },
  { variable: 'CODEX_SANDBOX', name: 'Codex' },
  { variable: 'CODEX_CI', name: 'Codex' },
  { variable: 'CODEX_THREAD_ID', name: 'Codex' },
  { variable: 'CURSOR_AGENT', name: 'Cursor' },
  { variable: 'CURSOR_EXTENSION_HOST_ROLE', value: 'agent-exec', name: 'Cursor' },
  { variable: 'GEMINI_CLI', name: 'Gemini CLI' },
  { variable: 'ANTIGRAVITY_AGENT', name: 'Antigravity' },
  { variable: 'AUGMENT_AGENT', name: 'Augment' },
  { variable: 'CLINE_ACTIVE', name: 'Cline' },
  { variable: 'OPENCODE', name: 'OpenCode' },
  { variable: 'OPENCODE_CLIENT', name: 'OpenCode' },
];

/** Variables of pipelines; most set `CI`. */
export const pipelineMarks: readonly CallerMark[] = [
  { variable: 'CI', name: 'most pipelines' },
  { variable: 'TF_BUILD', name: 'Azure Pipelines' },
  { variable: 'JENKINS_URL', name: 'Jenkins' },
  { variable: 'TEAMCITY_VERSION', name: 'TeamCity' },
  { variable: 'CODEBUILD_BUILD_ID', name: 'AWS CodeBuild' },
];

/** The first mark that the environment carries. */
function markIn(env: NodeJS.ProcessEnv, marks: readonly CallerMark[]): CallerMark | undefined {
  return marks.find(({ variable, value }) => (value === undefined ? isTrue(env[variable]) : env[variable] === value));
}

export function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

/** Whether a variable that switches something says yes. */
export function isTrue(value: string | undefined): boolean {
  return isSet(value) && value !== '0' && value.toLowerCase() !== 'false';
}

const spellings: ReadonlyMap<string, string> = new Map([
  ['--non-interactive=true', '--non-interactive'],
  ['--non-interactive=false', '--interactive'],
  ['--interactive=true', '--interactive'],
  ['--interactive=false', '--non-interactive'],
]);

/** The words of a command line, with one spelling of whether questions may be asked: the parser knows no `=false`. */
export function plainSpelling(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return argv.map((word, index) => (end === -1 || index < end ? (spellings.get(word) ?? word) : word));
}

/** Why nobody is asked; undefined when somebody may be. */
export type Unasked =
  | { readonly because: 'flag' | 'variable' | 'delegated' | 'no-terminal' }
  | { readonly because: 'pipeline' | 'agent'; readonly variable: string };

/**
 * Decides whether questions may be asked. A flag outranks `SYSTEMPROMPT_NON_INTERACTIVE`, which outranks what is detected:
 * a pipeline, or an agent, also one with a pseudo-terminal. Where there is no terminal nobody can answer, whatever is said.
 */
export function unaskedBy(
  flags: readonly string[],
  env: NodeJS.ProcessEnv,
  facts: { readonly delegated: boolean; readonly terminal: boolean },
): Unasked | undefined {
  if (facts.delegated) return { because: 'delegated' };
  const said = flags.findLast((flag) => flag === '--non-interactive' || flag === '--interactive');
  if (said === '--non-interactive') return { because: 'flag' };
  const variable = env['SYSTEMPROMPT_NON_INTERACTIVE'];
  if (said === undefined && isTrue(variable)) return { because: 'variable' };
  if (!facts.terminal) return { because: 'no-terminal' };
  if (said !== undefined || isSet(variable)) return undefined;
  const pipeline = markIn(env, pipelineMarks);
  if (pipeline !== undefined) return { because: 'pipeline', variable: pipeline.variable };
  const agent = markIn(env, agentMarks);
  return agent === undefined ? undefined : { because: 'agent', variable: agent.variable };
}

/** For the hint of a question that was not asked: how to be asked all the same, where that is possible. */
export function askedAllTheSame(unasked: Unasked | undefined): string {
  if (unasked?.because !== 'pipeline' && unasked?.because !== 'agent') return '';
  const who = unasked.because === 'pipeline' ? 'a pipeline' : 'an agent';
  return `; ${unasked.variable} says that this is ${who}, and --interactive asks all the same`;
}
