import type { Extension } from '../../shared/extension.ts';

export { displayName, emailAddress, userName } from './names.ts';
export {
  eraseUser,
  findUser,
  findUserByName,
  insertUser,
  listUsers,
  setRoles,
  setStatus,
  type User,
  type UserChange,
  type UserFilter,
  type UserKind,
  type UserStatus,
  updateUser,
} from './repository.ts';
export { UserService } from './service.ts';

/** Who may act, and in which roles. */
export const users: Extension = { id: 'users', version: '1.0.0', migrations: 'users' };
