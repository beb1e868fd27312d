/** What we use of pg-copy-streams 7, which brings no types. */
declare module 'pg-copy-streams' {
  import type { Readable, Writable } from 'node:stream';
  import type { Submittable } from 'pg';

  /** COPY … TO STDOUT; rows are counted when it has ended. */
  export function to(sql: string): Readable & Submittable & { readonly rowCount: number };
  /** COPY … FROM STDIN; rows are counted when it has finished. */
  export function from(sql: string): Writable & Submittable & { readonly rowCount: number };
}
