import type { IncomingMessage } from 'node:http';
import type { ClientStore, TokenVerifier } from '../../../domain/auth/index.ts';
import type { User } from '../../../domain/users/index.ts';
import type { Database } from '../../../infra/database/connection.ts';
import type { UserId } from '../../../shared/ids.ts';
import type { Entitlements } from '../../access/entitlements.ts';
import type { AddressOf } from '../../caller-address.ts';
import type { ResourceServers } from '../../resources.ts';
import { IssueLog } from './issue-log.ts';
import { SingleUse } from './single-use.ts';
import { Standings } from './standings.ts';
import { type SigningKeys, TokenSigner } from './token-signer.ts';
import type { Workloads } from './workloads.ts';

/** What the grants of machines stand on. */
export interface MachineDependencies {
  readonly database: Database;
  /** The `iss` of tokens. */
  readonly issuer: string;
  readonly clients: ClientStore;
  readonly resources: ResourceServers;
  readonly entitlements: Entitlements;
  readonly keys: SigningKeys;
  readonly verifier: Pick<TokenVerifier, 'examine'>;
  readonly users: { get(id: UserId): Promise<User> };
  readonly workloads: Pick<Workloads, 'verify'>;
  readonly addressOf: AddressOf;
  /** Hears why a token of an issuer outside was not taken; the caller is not told. */
  readonly onRefusal?: (refusal: { readonly clientId: string; readonly error: unknown }) => void;
}

/** How machines get tokens: one of it in a process, whatever becomes of the provider. */
export class MachineGrants {
  readonly deps: MachineDependencies;
  readonly signer: TokenSigner;
  readonly standings: Standings;
  readonly log: IssueLog;
  readonly singleUse: SingleUse;
  #unlisten: (() => Promise<void>)[] = [];

  private constructor(deps: MachineDependencies) {
    this.deps = deps;
    this.signer = new TokenSigner(deps.issuer, deps.keys);
    this.standings = new Standings(deps);
    this.log = new IssueLog(deps.database);
    this.singleUse = new SingleUse(deps.database);
  }

  /** @throws DatabaseUnavailableError when what is announced can't be listened for */
  static async open(deps: MachineDependencies): Promise<MachineGrants> {
    const grants = new MachineGrants(deps);
    grants.#unlisten = await Promise.all([
      deps.database.listen('auth', () => grants.standings.forget()),
      deps.database.listen('clients', () => grants.standings.forget()),
    ]);
    return grants;
  }

  addressOf(request: IncomingMessage): string | undefined {
    return this.deps.addressOf(request);
  }

  /** Puts on record what is not yet. */
  async close(): Promise<void> {
    await Promise.all(this.#unlisten.map((unlisten) => unlisten()));
    this.#unlisten = [];
    await this.log.flush();
  }
}
