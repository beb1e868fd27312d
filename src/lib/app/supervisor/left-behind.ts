import { markedProcesses } from '../../infra/process/marker.ts';

/**
 * The services whose processes go on although no supervisor runs: one that was killed takes nobody along, and the next
 * one adopts them. Ask only after a supervisor did not answer.
 */
export async function servicesLeftBehind(installationId: string): Promise<string[]> {
  const services = (await markedProcesses(installationId)).map(({ service }) => service);
  return [...new Set(services)].filter((name) => name !== '').sort();
}
