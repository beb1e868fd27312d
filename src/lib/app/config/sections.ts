/** What a file of `services/` can hold, by its name in the file and in the tree. */
export const sections = [
  'agents',
  'mcp_servers',
  'skills',
  'ai',
  'content',
  'scheduler',
  'web',
  'plugins',
  'extensions',
] as const;

export type Section = (typeof sections)[number];
