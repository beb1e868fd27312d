import type { CompletedFlag, CompletedPlace, Lookup } from './tree.ts';

const folders: Readonly<Partial<Record<Lookup, string>>> = {
  profiles: '(__systemprompt_profiles)',
  services: '(__systemprompt_services)',
  servers: '(__systemprompt_servers)',
};

export function fishScript(places: readonly CompletedPlace[]): string {
  const topics = places.filter(({ words }) => words.length > 0).map(({ path }) => path);
  const lines = places.flatMap(({ path, words, flags, lookup, values }) => {
    const at = `-n ${quoted(`__systemprompt_at ${quoted(path)}`)}`;
    const named = lookup === undefined ? undefined : folders[lookup];
    return [
      ...words.map(({ word, summary }) => `complete -c systemprompt -f ${at} -a ${quoted(word)} -d ${quoted(summary)}`),
      ...flags.map((flag) => `complete -c systemprompt ${at} ${flagWords(flag)}`),
      ...(values.length > 0 ? [`complete -c systemprompt -f ${at} -a ${quoted(values.join(' '))}`] : []),
      ...(named === undefined ? [] : [`complete -c systemprompt -f ${at} -a ${quoted(named)}`]),
    ];
  });
  return `# fish completion for systemprompt. Write it to ~/.config/fish/completions/systemprompt.fish
function __systemprompt_root
  set -l folder $PWD
  set -q SYSTEMPROMPT_ROOT; and set folder $SYSTEMPROMPT_ROOT
  while test -n "$folder"; and not test -d "$folder/.systemprompt"
    set folder (string replace -r '/[^/]*$' '' -- $folder)
  end
  echo $folder
end

function __systemprompt_profiles
  ls (__systemprompt_root)/.systemprompt/profiles 2>/dev/null
end

function __systemprompt_servers
  for one in (__systemprompt_root)/services/mcp/*.yaml
    path change-extension '' (path basename $one)
  end
end

function __systemprompt_services
  printf '%s\\n' database api mcp
  for one in (__systemprompt_servers)
    echo mcp:$one
  end
end

set -g __systemprompt_topics ${topics.map(quoted).join(' ')}

# Whether the words before the cursor lead to this topic or command.
function __systemprompt_at
  set -l path ''
  for word in (commandline -opc)[2..-1]
    string match -q -- '-*' $word; and continue
    contains -- "$path" $__systemprompt_topics; or break
    set path (string trim -- "$path $word")
  end
  test "$path" = "$argv[1]"
end

${lines.join('\n')}`;
}

function flagWords({ name, summary, takesValue, values, lookup }: CompletedFlag): string {
  const named = lookup === undefined ? undefined : folders[lookup];
  const choices =
    values.length > 0 ? ` -a ${quoted(values.join(' '))}` : named === undefined ? '' : ` -a ${quoted(named)}`;
  const value = takesValue ? ` -r${lookup === 'files' ? '' : ' -f'}${choices}` : '';
  return `-l ${name}${value} -d ${quoted(summary)}`;
}

/** Single quotes of fish: only they themselves and backslashes mean something within. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
