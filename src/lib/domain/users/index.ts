import type { Extension } from '../../shared/extension.ts';

export type { User, UserStatus } from './repository.ts';
export { UserService } from './service.ts';

/** Who may act, and in which roles. */
export const users: Extension = { id: 'users', version: '1.0.0', migrations: 'users' };
