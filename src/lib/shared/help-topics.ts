/** Pages of help that are not about a command: `systemprompt help <name>`. */
export const helpTopics: readonly { readonly name: string; readonly summary: string }[] = [
  { name: 'environment', summary: 'Variables that the command line reads' },
  { name: 'exit-codes', summary: 'What the exit codes mean' },
  { name: 'formatting', summary: 'How results are printed, as text and as JSON' },
  { name: 'agents', summary: 'The contract with agents and pipelines' },
];
