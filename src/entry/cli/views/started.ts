import type { InstanceStatus } from '../../../lib/app/supervisor/status.ts';
import type { PresentationCardArtifact } from '../../../lib/shared/artifact.ts';
import { type Phase, phaseLines } from '../live/startup.ts';

export interface StartedFacts {
  readonly status: InstanceStatus;
  readonly title: string;
  readonly phases: readonly Phase[];
  /** Turns `infra services stop` into what the user can type. */
  readonly runnable: (command: string) => string;
  readonly foreground: boolean;
  /** The port that was asked for, when one was. */
  readonly port?: number | undefined;
  /** Where the owner makes the first passkey; for eyes alone, so not in `data`. */
  readonly ownerLink?: string | undefined;
  /** How it was before the order, when it ran already. */
  readonly before?: InstanceStatus | undefined;
}

/** A terminal of 80 less what indents them. */
const timeColumns = 76;

/** What to do next once everything runs: sign in, the MCP URL, how to add it to a client, how to stop. */
export function startedCard(facts: StartedFacts): PresentationCardArtifact {
  const { status, runnable } = facts;
  const servers = status.services
    .filter((service) => service.kind === 'mcp')
    .map((service) => service.name.slice('mcp:'.length));
  const server = servers.includes('systemprompt') ? 'systemprompt' : servers[0];
  const stop = runnable('infra services stop');
  const sections: { heading: string; content: string }[] = [];
  const data: Record<string, unknown> = {
    url: status.url,
    services: status.services.map(({ name, state }) => ({ name, state })),
  };
  const actual = portOf(status);
  if (facts.port !== undefined && actual !== undefined && facts.port !== actual) {
    const again = runnable(`infra services start --port ${facts.port}`);
    const was = facts.before === undefined ? actual : portOf(facts.before);
    const outcome =
      was === undefined || was === actual ? `Port ${actual} stays` : `The API went from ${was} to ${actual}`;
    const heading = `${outcome}: --port ${facts.port} was not applied, since it runs already`;
    sections.push({ heading, content: `  Stop it first, then start it there:\n  ${stop}\n  ${again}` });
    Object.assign(data, { port: actual, port_not_applied: facts.port });
  }
  if (facts.ownerLink !== undefined) {
    const heading = 'Make it yours: open this in your browser and make a passkey (once, within a day)';
    sections.push({ heading, content: `  ${facts.ownerLink}` });
  }
  if (server !== undefined) {
    const url = mcpUrl(status.url, server);
    const signIn = runnable(`admin session login --server ${server} --token-only`);
    const add = `claude mcp add --transport http ${server} ${url}`;
    sections.push(
      { heading: 'MCP server', content: `  ${url}` },
      {
        heading: 'Add it to an MCP client: it needs the address alone, and signs you in with your browser',
        content: `  ${add}\n\nOr, as configuration:\n\n${clientConfig(server, url)}`,
      },
      { heading: 'Without a browser (prints a token for this server, valid for an hour)', content: `  ${signIn}` },
    );
    Object.assign(data, { mcp_url: url, sign_in: signIn, add_to_client: add });
  }
  sections.push({ heading: 'Stop', content: facts.foreground ? `  Ctrl-C, or from elsewhere: ${stop}` : `  ${stop}` });
  const times = phaseLines(facts.phases, timeColumns);
  if (times.length > 0) sections.push({ heading: 'Time', content: times.map((line) => `  ${line}`).join('\n') });
  if (facts.phases.length > 0) data['phases'] = facts.phases;
  return { type: 'presentation_card', title: facts.title, subtitle: status.url, sections, data: { ...data, stop } };
}

/** The port that the API has, or would have if it were running. */
function portOf({ services, url }: InstanceStatus): number | undefined {
  const known = services.find((service) => service.kind === 'api')?.port;
  if (known !== undefined || url === '') return known;
  const { port, protocol } = new URL(url);
  return port === '' ? { 'http:': 80, 'https:': 443 }[protocol] : Number(port);
}

/** Where the router serves an MCP server. */
function mcpUrl(url: string, server: string): string {
  return `${url}/api/v1/mcp/${server}/mcp`;
}

function clientConfig(server: string, url: string): string {
  const config = { mcpServers: { [server]: { type: 'http', url } } };
  return JSON.stringify(config, undefined, 2)
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
