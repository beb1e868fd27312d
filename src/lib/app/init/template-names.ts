/** What a project can begin with. */
export const templateNames = ['mcp-server', 'minimal'] as const;
export type TemplateName = (typeof templateNames)[number];
