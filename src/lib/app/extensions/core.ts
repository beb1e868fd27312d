import { auth } from '../../domain/auth/index.ts';
import { governance } from '../../domain/governance/index.ts';
import { mcp } from '../../domain/mcp/index.ts';
import { users } from '../../domain/users/index.ts';
import type { Extension } from '../../shared/extension.ts';
import { supervisor } from '../supervisor/index.ts';
import { sync } from '../sync/index.ts';

/** The extensions that the core is made of, in the order in which they stand on each other. */
export const coreExtensions: readonly Extension[] = [users, auth, governance, mcp, supervisor, sync];
