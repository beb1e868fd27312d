import { string as argument } from '@oclif/core/args';
import { permissionLevels } from '../../lib/shared/permission.ts';

/** Which user a command is about; id, name and mail address are interchangeable. */
export const userArgument = {
  user: argument({ required: true, ignoreStdin: true, description: 'Id, name or mail address' }),
};

/** The roles, highest first. */
export const roleOptions = Object.keys(permissionLevels);
