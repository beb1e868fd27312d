import type { CompletedPlace } from './tree.ts';

/**
 * The part that bash and zsh share: `_systemprompt_candidates <words…>` prints what the last of the words may become, one
 * a line. It starts nothing: names of profiles and services are those of the project's folders.
 */
function shared(places: readonly CompletedPlace[]): string {
  const withWords = places.filter(({ words }) => words.length > 0);
  const commands = places.filter(({ flags }) => flags.length > 0);
  const values = commands.flatMap(({ path, flags }) =>
    flags.filter(({ takesValue }) => takesValue).map((flag) => [path, flag] as const),
  );
  return `_systemprompt_words() {
  case "$1" in
${cases(withWords.map(({ path, words }) => [path, words.map(({ word }) => word).join(' ')]))}
  esac
}

_systemprompt_flags() {
  case "$1" in
${cases(commands.map(({ path, flags }) => [path, flags.map(({ name }) => `--${name}`).join(' ')]))}
  esac
}

# What a flag or the arguments of a command may be; fails when the flag takes no value.
_systemprompt_values() {
  case "$1" in
${values
  .map(([path, flag]) => `    ${quoted(`${path} --${flag.name}`)}) ${printed(flag.values, flag.lookup)} ;;`)
  .join('\n')}
${commands
  .filter(({ lookup, values: own }) => lookup !== undefined || own.length > 0)
  .map(({ path, lookup, values: own }) => `    ${quoted(path)}) ${printed(own, lookup)} ;;`)
  .join('\n')}
    *) return 1 ;;
  esac
}

_systemprompt_project() {
  local folder="\${SYSTEMPROMPT_ROOT:-$PWD}"
  while [ -n "$folder" ] && [ ! -d "$folder/.systemprompt" ]; do folder="\${folder%/*}"; done
  printf '%s' "$folder"
}

# Names of files become words of the command line as they are: one that a shell would act on is not offered.
_systemprompt_names() {
  local prefix="$1" one name
  shift
  for one in "$@"; do
    name="\${one##*/}"
    name="\${name%.yaml}"
    case "$name" in '' | *[!A-Za-z0-9_.-]*) continue ;; esac
    [ -e "$one" ] && printf '%s\\n' "$prefix$name"
  done
}

_systemprompt_lookup() {
  local root
  root="$(_systemprompt_project)"
  case "$1" in
    profiles) _systemprompt_names '' "$root"/.systemprompt/profiles/* ;;
    services)
      printf '%s\\n' database api mcp
      _systemprompt_names mcp: "$root"/services/mcp/*.yaml ;;
    servers) _systemprompt_names '' "$root"/services/mcp/*.yaml ;;
  esac
}

_systemprompt_candidates() {
  local path='' before='' count=$# index=0 word='' known
  for word in "$@"; do
    index=$((index + 1))
    [ "$index" -eq "$count" ] && break
    before="$word"
    case "$word" in -*) continue ;; esac
    known=" $(_systemprompt_words "$path") "
    case "$known" in *" $word "*) path="\${path:+$path }$word" ;; esac
  done
  case "$before" in
    --*=*) ;;
    --profile) _systemprompt_lookup profiles; return ;;
    --*) _systemprompt_values "$path $before" && return ;;
  esac
  case "$word" in
    --*=*) _systemprompt_values "$path \${word%%=*}" | while IFS= read -r known; do printf '%s\\n' "\${word%%=*}=$known"; done ;;
    -*) for known in $(_systemprompt_flags "$path"); do printf '%s\\n' "$known"; done ;;
    *)
      for known in $(_systemprompt_words "$path"); do printf '%s\\n' "$known"; done
      _systemprompt_values "$path" || true ;;
  esac
}`;
}

export function bashScript(places: readonly CompletedPlace[]): string {
  return `# bash completion for systemprompt. Add to ~/.bashrc: eval "$(systemprompt completion bash)"
${shared(places)}

_systemprompt() {
  local line word candidate
  local -a words
  line="\${COMP_LINE:0:COMP_POINT}"
  read -ra words <<<"$line"
  [[ "$line" == *[[:space:]] ]] && words+=('')
  word="\${words[\${#words[@]} - 1]}"
  COMPREPLY=()
  while IFS= read -r candidate; do
    [[ "$candidate" == "$word"* ]] || continue
    # What stands before a colon or an equals sign is a word of its own to readline.
    if [[ "$word" == *[:=]* ]]; then COMPREPLY+=("\${candidate#"\${word%"\${word##*[:=]}"}"}"); else COMPREPLY+=("$candidate"); fi
  done < <(_systemprompt_candidates "\${words[@]:1}")
}
complete -o default -o bashdefault -F _systemprompt systemprompt`;
}

export function zshScript(places: readonly CompletedPlace[]): string {
  return `#compdef systemprompt
# zsh completion for systemprompt. Add to ~/.zshrc, after compinit: eval "$(systemprompt completion zsh)"
${shared(places)}

_systemprompt() {
  emulate -L zsh
  setopt sh_word_split null_glob
  local -a found
  found=("\${(@f)$(_systemprompt_candidates "\${(@)words[2,CURRENT]}")}")
  found=("\${(@)found:#}")
  if (( \${#found} )); then compadd -a found; else _files; fi
}
compdef _systemprompt systemprompt`;
}

function cases(entries: readonly (readonly [string, string])[]): string {
  return entries.map(([path, words]) => `    ${quoted(path)}) printf '%s' ${quoted(words)} ;;`).join('\n');
}

function printed(values: readonly string[], lookup: CompletedPlace['lookup']): string {
  if (values.length > 0) return `printf '%s\\n' ${values.map(quoted).join(' ')}`;
  return lookup === undefined || lookup === 'files' ? ':' : `_systemprompt_lookup ${lookup}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
