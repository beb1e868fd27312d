const words = 'written by `systemprompt infra services install` for instance';

/** The line by which a file of ours is known again; `--` must not be in it, since it stands in an XML comment too. */
export function markerLine(comment: string, instanceId: string): string {
  return `${comment === '' ? '' : `${comment} `}${words} ${instanceId}`;
}

/** Whether a file was written by us for that instance; a copy that somebody keeps for another one is not. */
export function isOurs(content: string, instanceId: string): boolean {
  const head = content.split('\n').slice(0, 3);
  return head.some((line) => line.includes(`${words} ${instanceId}`));
}
