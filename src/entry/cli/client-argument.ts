import { string as argument } from '@oclif/core/args';

/** Which client a command is about. */
export const clientArgument = {
  client: argument({ required: true, ignoreStdin: true, description: 'Id of the client' }),
};
