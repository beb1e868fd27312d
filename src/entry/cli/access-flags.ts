import { string } from '@oclif/core/flags';
import { roleOptions } from './user-argument.ts';

/** To whom a grant is: exactly one of them. */
export const subjectFlags = {
  user: string({ helpValue: '<user>', exclusive: ['role', 'agent', 'client'], summary: 'A user: id, name or address' }),
  role: string({ options: roleOptions, exclusive: ['agent', 'client'], summary: 'Everybody who has this role' }),
  agent: string({ helpValue: '<name>', exclusive: ['client'], summary: 'An agent' }),
  client: string({ helpValue: '<id>', summary: 'A client that acts as a service account' }),
};

/** What is granted: scopes, or what a tool asks for. */
export const scopeFlags = {
  scope: string({
    helpValue: '<scope>',
    multiple: true,
    multipleNonGreedy: true,
    exclusive: ['tool'],
    summary: 'A scope of the server, may be repeated',
  }),
  tool: string({ helpValue: '<name>', summary: 'All scopes that this tool asks for' }),
};
