import { defineMcpServer } from 'systemprompt/mcp';
import { Pages } from './pages.ts';
import { commandsTool } from './tools/commands.ts';
import { systempromptTool } from './tools/systemprompt.ts';

/** The instance administered by an agent: its own CLI as a tool, and a second one that says what the CLI can do. */
export const server = defineMcpServer({
  name: 'systemprompt',
  title: 'systemprompt',
  version: '0.1.0',
  description: 'Administers the systemprompt instance that it runs on',
  instructions:
    "Call 'commands' first (a topic at a time) to learn what there is, then 'systemprompt' to run a command. " +
    'Commands run with your own permissions. Ask the user before you set confirm: true.',
  tools: [systempromptTool(new Pages()), commandsTool()],
});
