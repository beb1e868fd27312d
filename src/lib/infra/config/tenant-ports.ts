import { defaultTenant } from './active-profile.ts';

type PortRange = readonly [number, number];

// `services/` is one for all tenants of a project, and so are the ports in it. They are meant for the tenant `local`, in whose
// range they have to lie; for every other they are moved into that tenant's own range.

/** The range in which ports must lie as they are written; `undefined` for a tenant into whose range they are moved. */
export function writtenPortRange(tenant: string | undefined, range: PortRange | undefined): PortRange | undefined {
  return tenant === undefined || tenant === defaultTenant ? range : undefined;
}

/** A port as it is written, or when it lies outside of the range one in it: the same at each start. Two may come to the same. */
export function portWithin([first, last]: PortRange, port: number): number {
  return port >= first && port <= last ? port : first + (port % (last - first + 1));
}
