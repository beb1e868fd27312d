/** Said when there is nothing to say, so that a peer that vanished is noticed: a comment (HTML Living Standard, 9.2.5). */
export const heartbeat = ':\n\n';
export const heartbeatMs = 15_000;

/**
 * One message of an event stream (HTML Living Standard, 9.2.5). The data is one line of JSON; id and event must have no line
 * end in them.
 */
export function sseMessage(message: { readonly id: string; readonly event: string; readonly data: unknown }): string {
  return `id: ${message.id}\nevent: ${message.event}\ndata: ${JSON.stringify(message.data)}\n\n`;
}
