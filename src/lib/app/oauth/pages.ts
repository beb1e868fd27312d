import type { ClientCard } from './card.ts';

/** A whole answer for a browser. */
export interface RenderedPage {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Where a form of the device flow goes, and what it must bring along, as `xsrf`. */
export interface DeviceForm {
  readonly action: string;
  readonly xsrf: string;
}

export type DeviceProblem = 'missing' | 'unknown' | 'expired' | 'used' | 'aborted' | 'failed';

/** The pages that the authorization server shows by itself; all texts come unescaped. */
export interface OAuthPages {
  /** An error that can't be told to the client, since nobody knows whether it is one. */
  error(problem: { readonly status: number; readonly error: string; readonly description?: string }): RenderedPage;
  /** Asks for the code that the device shows: field `user_code`. */
  deviceCode(form: DeviceForm & { readonly userCode?: string; readonly problem?: DeviceProblem }): RenderedPage;
  /** Asks whether that is the device: fields `user_code` and `confirm=yes` or `abort=yes`. */
  deviceConfirm(
    form: DeviceForm & {
      readonly userCode: string;
      readonly client: ClientCard;
      readonly address: string | undefined;
      readonly userAgent: string | undefined;
    },
  ): RenderedPage;
  deviceDone(client: ClientCard): RenderedPage;
}
