import type { Declared } from './declarations.ts';
import type { ConfigPath, Origin, SourcePath } from './types.ts';

/** Which part of the tree comes from which part of which file. */
export class Origins {
  readonly #mounts = new Map<string, Declared>();

  /** What is below `path` in the tree is what `declared` is in its file, unless a longer path says otherwise. */
  mount(path: ConfigPath, declared: Declared): void {
    this.#mounts.set(keyOf(path), declared);
  }

  sourceOf(path: ConfigPath): SourcePath | undefined {
    const found = this.#find(path);
    return found === undefined
      ? undefined
      : { file: found.declared.file.path, path: [...found.declared.path, ...found.rest] };
  }

  originOf(path: ConfigPath): Origin | undefined {
    const found = this.#find(path);
    if (found === undefined) return undefined;
    const { yaml, path: base } = found.declared;
    const inFile = [...base, ...found.rest];
    if (!yaml.has(inFile)) return undefined;
    return { file: yaml.file, ...yaml.locate(inFile) };
  }

  #find(path: ConfigPath): { readonly declared: Declared; readonly rest: ConfigPath } | undefined {
    for (let length = path.length; length > 0; length -= 1) {
      const declared = this.#mounts.get(keyOf(path.slice(0, length)));
      if (declared !== undefined) return { declared, rest: path.slice(length) };
    }
    return undefined;
  }
}

function keyOf(path: ConfigPath): string {
  return JSON.stringify(path.map(String));
}
