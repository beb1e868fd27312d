/** A file of `services/mcp` with one server. */
export const server = (name: string, port: number) =>
  `mcp_servers:\n  ${name}:\n    module: m\n    port: ${port}\n    description: d\n    oauth: {scopes: [user]}\n`;
/** A file of `services/agents` with one agent. */
export const agent = (name: string, port: number, more = '') =>
  `agents:\n  ${name}:\n    port: ${port}\n    card: {description: d}\n${more}`;

/** A `services/` that has every kind of file, included and found by itself. */
export const wholeTree: Readonly<Record<string, string>> = {
  'config/config.yaml': 'includes: [../shared/all.yaml]\nsettings: {mcp_port_range: [5000, 5100]}\n',
  'shared/all.yaml': `includes: [more/extra.yaml]\n${server('included', 5011)}`,
  'shared/more/extra.yaml':
    'ai:\n  providers:\n    other: {}\nskills:\n  short:\n    name: S\n    description: d\n    instructions: Do it.\n',
  'mcp/a.yaml': server('alpha', 5010),
  'agents/helper.yaml': agent(
    'helper',
    9001,
    '    metadata:\n      system_prompt: !include prompts/helper.md\n      mcp_servers: [alpha, included]\n      skills: [writing]\n      provider: acme\n',
  ),
  'agents/prompts/helper.md': 'You help.\n',
  'skills/writing/config.yaml': 'name: Writing\ndescription: d\n',
  'skills/writing/index.md': '# Writing\n',
  'ai/config.yaml': 'ai:\n  default_provider: acme\n  providers:\n    acme: {api_key: "${secret:acme}"}\n',
  'content/config.yaml':
    'content:\n  content_sources:\n    blog: {path: content/blog, category_id: news}\n  categories:\n    news: {name: News}\n',
  'scheduler/config.yaml': 'scheduler:\n  jobs:\n    - {name: cleanup, schedule: "0 0 3 * * *"}\n',
  'web/config.yaml': 'web:\n  branding: {name: Site}\n',
  'plugins/kit-one/config.yaml':
    'name: Kit\ndescription: d\nskills: {source: explicit, include: [writing]}\nmcp_servers: [alpha]\n',
  'extensions/config.yaml': 'extensions: {disabled: [blog]}\n',
};
