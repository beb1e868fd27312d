import { bootServiceCard } from '../../../src/entry/cli/views/boot-service.ts';
import { leftoversCard } from '../../../src/entry/cli/views/cleanup.ts';
import type { CleanupItem } from '../../../src/lib/app/cleanup/item.ts';
import type { Artifact } from '../../../src/lib/shared/artifact.ts';

/** One line of the story of a system: what is run, and as which command it is on record. */
export interface Step {
  readonly command: string;
  /** `{name}` is filled in: see the test. */
  readonly line: string;
  /** The exit code, where it is not 0. */
  readonly code?: number;
  /** Folder below the project in which it is run. */
  readonly in?: string;
  /** Its rows, or the lines of its sections, come in an order that differs from run to run. */
  readonly unordered?: true;
  /** What it says is about the machine: only the shape of its JSON is on record. */
  readonly shape?: true;
}

const step = (command: string, rest = '', more: Partial<Step> = {}): Step => ({
  command,
  line: `${command} ${rest}`.trimEnd(),
  ...more,
});

/** What happens to a system that runs, in this order: test/entry/cli/faces-running.e2e.test.ts. */
export const story: readonly Step[] = [
  // Calls, one of which fails, and what is known of them.
  step('plugins mcp list'),
  step('plugins mcp status'),
  step('plugins mcp status', 'demo'),
  step('plugins mcp tools', 'demo'),
  step('plugins mcp inspect', 'demo'),
  step('plugins mcp call', 'demo echo --arg text=hello'),
  step('plugins mcp call', 'demo any --arg kind=table'),
  step('plugins mcp call', 'demo refuse', { code: 1 }),
  step('admin audit list'),
  step('admin audit show', '{execution}'),
  step('infra logs audit', '{execution}', { unordered: true }),
  step('infra logs trace show', '{execution}', { shape: true }),
  step('infra logs view', '--source calls'),
  step('infra logs search', 'refuse --source calls'),
  step('infra logs summary', '--source calls'),
  step('infra logs summary', '--source calls --messages'),
  step('infra logs export', '--source calls --output calls.jsonl'),
  step('admin audit artifact', '{table}'),

  // Servers one by one, and one that comes and goes.
  step('plugins mcp show', 'demo'),
  step('plugins mcp validate', 'demo'),
  step('plugins mcp add', "'node files.mjs' --name files"),
  step('admin config set', 'mcp_servers.files.instances user'),
  step('admin config set', 'mcp_servers.files.user_variables [TOKEN]'),
  step('plugins mcp connect', 'files --from-env STORY_SECRET'),
  step('plugins mcp disconnect', 'files --yes'),
  step('plugins mcp remove', 'files --yes'),
  step('plugins mcp approve', 'demo --all'),

  // Calls that a person has to approve.
  step('plugins mcp call', 'demo any --arg kind=list', { code: 4 }),
  step('plugins mcp approvals list'),
  step('plugins mcp approvals show', '{approval}'),
  step('plugins mcp approvals approve', '{approval}'),
  step('plugins mcp call', 'demo any --arg kind=list'),
  step('plugins mcp call', 'demo any --arg kind=list', { code: 4 }),
  step('plugins mcp approvals deny', '{approval}'),
  step('plugins mcp approvals list', '--all'),

  // The audit, elsewhere. How much of it is sealed already depends on the moment.
  step('admin audit keys', '', { shape: true }),
  step('admin audit export', '--format csv --server demo --output calls.csv'),
  step('admin audit export', '--output audit.jsonl', { shape: true }),
  step('admin audit verify', '--file audit.jsonl', { shape: true }),

  // Services.
  step('infra services status'),
  step('infra services status', 'api'),
  step('infra services events', '--service api'),
  step('infra services reconcile', '--dry-run'),
  step('infra services reconcile'),
  step('infra services restart', 'mcp:demo'),
  step('infra services stop', 'mcp:demo'),
  step('infra services start', 'mcp:demo'),

  // The database.
  step('infra db status'),
  step('infra db migrate'),
  step('infra db tables', '--filter audit'),
  step('infra db describe', 'services'),
  step('infra db indexes', '--table services'),
  step('infra db count', 'services'),
  step('infra db size', '', { unordered: true }),
  step('infra db query', "'SELECT name, state FROM services ORDER BY name'"),
  step('infra db query', "'SELECT 1 AS n WHERE false'"),
  step('infra db backup', '--output backup.tar'),
  step('infra db restore', 'backup.tar --dry-run'),
  step('infra db rollback', '--dry-run', { code: 6 }),

  // Secrets.
  step('cloud secrets list'),
  step('cloud secrets set', 'API_KEY --from-env STORY_SECRET'),
  step('cloud secrets set', 'API_KEY --from-env STORY_SECRET --server demo'),
  step('cloud secrets import', 'more.env --dry-run'),
  step('cloud secrets import', 'more.env'),
  step('cloud secrets list'),
  step('cloud secrets reveal', 'API_KEY --yes'),
  step('cloud secrets rotate', '--yes'),
  step('cloud secrets unset', 'REGION --yes'),

  // Files and the database.
  step('cloud sync versions'),
  step('cloud sync local', 'mcp --direction to-db --dry-run'),
  step('cloud sync local', 'mcp --direction to-db'),
  step('cloud sync local', 'mcp --direction to-db'),
  step('cloud sync versions'),
  step('cloud sync versions', 'mcp/demo.yaml'),

  // Skills.
  step('core skills create', "notes --description 'Writes notes' --instructions 'Keep it short.'"),
  step('core skills edit', 'notes --tags writing'),
  step('core skills show', 'notes'),
  step('core skills sync', '--direction to-db --dry-run'),

  // Another address.
  step('admin identity rename-origin', 'https://prompt.example.com --keep-old'),

  // Profiles.
  step('cloud profile list'),
  step('cloud profile create', 'staging --port 8099 --set runtime.log_level=debug'),
  step('cloud profile list'),
  step('cloud profile show', 'staging'),
  step('cloud profile edit', 'staging --set runtime.log_level=warn'),
  step('cloud profile validate', 'staging'),
  step('cloud profile validate', '--all'),
  step('cloud profile use', 'staging'),
  step('cloud profile use', 'local'),

  // Settings of the profile that is not in force.
  ...['admin config runtime', 'admin config security', 'admin config server'].map((topic) =>
    step(`${topic} show`, '--profile staging'),
  ),
  step('admin config runtime set', '--log-level info --profile staging'),
  step('admin config runtime set', '--log-level info --profile staging'),
  step('admin config security set', '--access-token-ttl 30m --profile staging --dry-run'),
  step('admin config security set', '--access-token-ttl 30m --profile staging'),
  step('admin config server set', '--port 8098 --profile staging'),
  step('admin config server cors list', '--profile staging'),
  step('admin config server cors add', 'https://app.example.com --profile staging'),
  step('admin config server cors list', '--profile staging'),
  step('admin config server cors remove', 'https://app.example.com --profile staging'),
  step('admin config rate-limits show', '--profile staging'),
  step('admin config rate-limits tier', 'anon --profile staging'),
  step('admin config rate-limits preset list', '--profile staging'),
  step('admin config rate-limits preset show', 'production --profile staging'),
  step('admin config rate-limits preset apply', 'production --yes --profile staging'),
  step('admin config rate-limits set', '--endpoint mcp --rate 20 --burst 40 --profile staging'),
  step('admin config rate-limits export', '--profile staging'),
  step('admin config rate-limits import', 'limits.yaml --yes --profile staging'),
  step('admin config rate-limits reset', '--yes --profile staging'),
  step('admin config set', 'settings.mcp_port_range [5000,5998] --dry-run'),
  step('admin config set', 'settings.mcp_port_range [5000,5998]'),
  step('admin config unset', 'settings.mcp_port_range'),
  step('admin config unset', 'settings.mcp_port_range'),
  step('admin config schema'),
  step('admin config schema', 'extensions'),
  step('admin config list'),
  step('admin config paths show'),
  step('admin config paths validate'),
  step('admin config diff'),
  step('admin config validate'),
  step('cloud profile delete', 'staging --yes'),

  // Who one is.
  step('admin session show', '', { code: 4 }),
  step('admin session list'),
  step('admin session login', '--server demo'),
  step('admin session switch', 'local'),
  step('admin session login'),
  step('admin session show'),
  step('admin session list'),
  step('admin session logout'),

  // Who else is there, and what they may do.
  step('admin users create', "ada --email Ada@Example.com --display-name 'Ada Lovelace'"),
  step('admin users create', 'nightly-build --service'),
  step('admin users list'),
  step('admin users update', 'ada --email ada@example.org'),
  step('admin users role', 'ada --add mcp'),
  step('admin access check', '--user ada --server demo --tool echo'),
  step('admin access grant', '--user ada --server demo --tool echo'),
  step('admin access list'),
  step('admin access check', '--user ada --server demo --tool echo'),
  step('admin access revoke', '--user ada --server demo'),
  step('admin access list', '--all'),
  step('admin tokens create', 'laptop --user ada --server demo --expires 7d', { shape: true }),
  step('admin tokens list'),
  step('admin tokens revoke', '{token}'),
  step('admin tokens list', '--all'),
  step('admin users ban', "ada --reason 'shared a token'"),
  step('admin access check', '--user ada --server demo'),
  step('admin users unban', 'ada'),
  step('admin users show', 'ada@example.org'),
  step('admin users sessions list', 'ada --all'),
  step('admin users sessions revoke', 'ada --all'),
  step('admin users ban', 'owner --reason x', { code: 1 }),
  step('admin users delete', 'nightly-build --yes'),
  step('admin audit identity', '--user ada --limit 6'),
  step('admin users link', 'ada', { shape: true }),

  // Which programs are there, and what signs their tokens.
  step('admin clients create', 'nightly --service --server demo', { shape: true }),
  step('admin clients create', "editor --redirect-uri http://127.0.0.1/callback --name 'The editor'"),
  step('admin clients list'),
  step('admin clients show', 'nightly'),
  step('admin clients update', "nightly --name 'Nightly build'"),
  step('admin clients update', 'nightly --disable'),
  step('admin clients rotate-secret', 'nightly', { shape: true }),
  step('admin clients delete', 'editor --yes'),
  step('admin keys list'),
  step('admin keys rotate'),

  // Tenants.
  step('cloud tenant create', 'shop --port-base 21000'),
  step('cloud tenant list'),
  step('cloud tenant show', 'shop'),
  step('cloud tenant select', 'shop'),
  step('cloud tenant select', 'local'),
  step('cloud tenant delete', 'shop --yes'),

  // The machine, the user, a new project.
  step('doctor', '', { shape: true }),
  step('settings set', 'output text'),
  step('settings unset', 'output'),
  step('plugins mcp list-packages'),
  step('init', 'shop --yes --no-install --package systemprompt@1.2.3'),
  step('build mcp', '', { in: 'workspace' }),
  step('build mcp', '', { in: 'workspace' }),
  step('plugins mcp list-packages', '', { in: 'workspace' }),

  step('plugins mcp sessions list', '--all'),
  step('plugins mcp sessions end', '--server demo'),
  step('infra services stop'),
  step('infra db reset', '--yes'),
];

const unit = {
  manager: 'systemd',
  scope: 'user',
  name: 'systemprompt-01930000',
  path: '/home/ann/.config/systemd/user/systemprompt-01930000.service',
} as const;
const leftover = (kind: CleanupItem['kind'], what: string, bytes: number, reason: string): CleanupItem => ({
  kind,
  what,
  bytes,
  reason,
  remove: () => Promise.resolve(),
});

/** Results of commands that are about the machine, as it could be: drawn, and never run. */
export const pictures: readonly { readonly command: string; readonly line: string; readonly artifact: Artifact }[] = [
  {
    command: 'infra services cleanup',
    line: 'infra services cleanup --dry-run',
    artifact: leftoversCard(
      'To be removed',
      [
        leftover('process', '4711 mcp:demo', 0, 'no supervisor has it on record'),
        leftover('socket', '/run/systemprompt/control.sock', 0, 'nothing listens on it'),
        leftover(
          'log',
          '/home/ann/project/.systemprompt/logs/mcp:gone/1.log',
          20_480,
          'mcp:gone is no longer configured',
        ),
      ],
      ['/var/lib/systemprompt/instances/000000000000: its project may be on a disk that is away'],
    ),
  },
  { command: 'infra services cleanup', line: 'infra services cleanup', artifact: leftoversCard('Removed', [], []) },
  {
    command: 'infra services install',
    line: 'infra services install --user --yes',
    artifact: bootServiceCard(
      'Installed',
      unit,
      [{ command: `systemctl --user enable --now ${unit.name}.service`, state: 'done', output: '' }],
      ['It starts when ann signs in; sudo loginctl enable-linger ann has it start with the machine'],
    ),
  },
  {
    command: 'infra services uninstall',
    line: 'infra services uninstall --yes',
    artifact: bootServiceCard(
      'Uninstalled',
      unit,
      [{ command: `systemctl --user disable ${unit.name}.service`, state: 'due', output: '' }],
      [],
    ),
  },
];
