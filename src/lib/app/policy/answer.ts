/** The result in a tool's answer, or its error. */
export function resultOf(payload: Buffer): unknown {
  const message = JSON.parse(payload.toString('utf8')) as { readonly result?: unknown; readonly error?: unknown };
  return message.result ?? message.error;
}

/** The same answer with another result; an answer that is an error has its error changed instead. */
export function withResult(payload: Buffer, change: (result: object) => object): Buffer {
  const message = JSON.parse(payload.toString('utf8')) as { result?: object; error?: object };
  if (message.result !== undefined) message.result = change(message.result);
  else if (message.error !== undefined) message.error = { ...message.error, ...change(message.error) };
  return Buffer.from(JSON.stringify(message));
}
