/**
 * Whether several API processes can listen on one port: elsewhere than on Linux a restart is a stop and a start, and one
 * process is all there is.
 */
export const apiSharesPort: boolean = process.platform === 'linux';

/** Names of the services that run the API: `api` alone, or one a worker. */
export function apiServiceNames(workers: number): string[] {
  if (workers === 1 || !apiSharesPort) return ['api'];
  return Array.from({ length: workers }, (_, index) => `api:${index + 1}`);
}

/** Whether a service's name is that of the API or of a worker of it. */
export function isApiService(name: string): boolean {
  return name === 'api' || name.startsWith('api:');
}
