import type { YamlPath } from './yaml-document.ts';

/** A finding by its path. */
export interface Complaint {
  readonly path: YamlPath;
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly hint?: string;
  /** Of a field that is not there: what would have to be. */
  readonly missing?: { readonly name: string; readonly meaning: string | undefined };
  /** Of a name that is not known: the one that was meant. */
  readonly meant?: string;
}
