import { z } from 'zod';
import { type BridgeSettings, bridgeSettings } from '../../lib/app/bridge/settings.ts';
import { checkEnvironment, decodeKey, filled, serverVariables } from '../../lib/app/server-environment.ts';
import type { ServiceInstanceId } from '../../lib/shared/ids.ts';

/** What the supervisor tells a bridge in its environment. */
export interface BridgeEnvironment {
  /** Key of the server in the configuration. */
  readonly name: string;
  readonly port: number;
  readonly instanceId: ServiceInstanceId;
  /** Verifies the identity header. */
  readonly identityKey: Uint8Array;
  /** The same as it came, for a server that verifies it itself. */
  readonly identityKeyText: string;
  /** Root of the instance. */
  readonly root: string;
  readonly settings: BridgeSettings;
}

const schema = z.object({
  ...serverVariables,
  SYSTEMPROMPT_BRIDGE: filled.transform(parseJson).pipe(bridgeSettings),
});

/** @throws StartRefusedError naming every variable that is wrong, and never the value of one */
export function readEnvironment(env: NodeJS.ProcessEnv): BridgeEnvironment {
  const data = checkEnvironment(schema, env);
  return {
    name: data.MCP_SERVICE_ID,
    port: data.MCP_PORT,
    instanceId: data.SYSTEMPROMPT_SERVICE_INSTANCE as ServiceInstanceId,
    identityKey: decodeKey(data.SYSTEMPROMPT_IDENTITY_KEY),
    identityKeyText: data.SYSTEMPROMPT_IDENTITY_KEY,
    root: data.SYSTEMPROMPT_ROOT,
    settings: data.SYSTEMPROMPT_BRIDGE,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the next check refuses it
  }
}
