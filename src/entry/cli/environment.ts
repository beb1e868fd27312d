/** A variable of the environment that the command line reads. */
export interface EnvironmentVariable {
  readonly name: string;
  /** The flag that says the same, and outranks it. */
  readonly flag?: string;
  readonly meaning: string;
}

/** Every variable that a user may set; `systemprompt help environment` and docs/cli.md are written from this list. */
export const environment: readonly EnvironmentVariable[] = [
  { name: 'SYSTEMPROMPT_ROOT', meaning: 'The folder of the project; the nearest one upwards when it is not set' },
  { name: 'SYSTEMPROMPT_PROFILE', flag: '--profile', meaning: 'The profile' },
  { name: 'SYSTEMPROMPT_OUTPUT_FORMAT', flag: '--json', meaning: 'json prints results as JSON; text is the default' },
  {
    name: 'SYSTEMPROMPT_NON_INTERACTIVE',
    flag: '--non-interactive',
    meaning: '1 never asks; 0 may ask, also in a pipeline and for an agent',
  },
  { name: 'SYSTEMPROMPT_SERVER_PORT', flag: '--port', meaning: 'The port of the API' },
  { name: 'SYSTEMPROMPT_DEBUG', flag: '--debug', meaning: '1 shows where an error came from' },
  {
    name: 'SYSTEMPROMPT_INVOKED_AS',
    meaning: 'How suggested commands begin; a wrapper script names itself here',
  },
  {
    name: 'SYSTEMPROMPT_DATABASE_URL',
    flag: '--database-url-stdin',
    meaning: 'The PostgreSQL server of a new tenant, with the password',
  },
  { name: 'SYSTEMPROMPT_MASTER_KEY', meaning: 'The key to the secrets, where no file or keychain holds it' },
  { name: 'SYSTEMPROMPT_MASTER_KEY_NEXT', meaning: 'The key that takes its place when secrets are rotated' },
  {
    name: 'SYSTEMPROMPT_MCP_REGISTRY',
    flag: '--registry',
    meaning: 'The registry that plugins mcp add asks for names',
  },
  { name: 'SYSTEMPROMPT_NO_UPDATE_NOTICE', meaning: '1: nobody is told of a newer version, and no registry is asked' },
  { name: 'NO_COLOR', flag: '--no-color', meaning: 'Anything but empty: no colours' },
  { name: 'FORCE_COLOR', meaning: '1: colours in a pipe too' },
  { name: 'TERM', meaning: 'dumb: no colours and no drawn views' },
  { name: 'CI', meaning: 'A pipeline: nobody is asked and nothing is drawn' },
  { name: 'DISPLAY', meaning: 'As WAYLAND_DISPLAY: there is a screen, so `cloud auth login` opens the browser' },
  { name: 'SSH_CONNECTION', meaning: 'As SSH_TTY: nobody sits at this machine, so no browser is opened' },
  { name: 'XDG_CONFIG_HOME', meaning: 'Where settings and sign-ins of the user are; ~/.config when it is not set' },
  { name: 'XDG_CACHE_HOME', meaning: 'Where compiled code is kept between runs; ~/.cache when it is not set' },
  { name: 'XDG_RUNTIME_DIR', meaning: 'Where sockets are; /tmp/systemprompt-<user id> when it is not set' },
  { name: 'NODE_DISABLE_COMPILE_CACHE', meaning: '1: compiled code is not kept' },
];
