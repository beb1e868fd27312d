import { randomUUID } from 'node:crypto';

declare const brand: unique symbol;
/** A string that only its own kind's functions produce, so that ids of different kinds can't be mixed up. */
export type Id<Kind extends string> = string & { readonly [brand]: Kind };

/** One tool call, from intent to outcome. */
export type ExecutionId = Id<'execution'>;
/** One run of one service's process; a restart gets a new one. */
export type ServiceInstanceId = Id<'service-instance'>;
export type UserId = Id<'user'>;
export type SessionId = Id<'session'>;

/** A fresh random id (RFC 9562 version 4, from the operating system's generator). */
export function newId<T extends Id<string>>(): T {
  return randomUUID() as T;
}
