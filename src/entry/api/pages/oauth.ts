import type { ClientView } from './consent.ts';
import {
  type DeviceCodeView,
  type DeviceConfirmView,
  deviceCodePage,
  deviceConfirmPage,
  deviceDonePage,
} from './device.ts';
import { oauthErrorPage } from './error.ts';
import { type RenderedPage, renderPage } from './layout.ts';

/** The pages that the authorization server shows by itself. */
export const oauthPages = {
  error: (problem: { readonly status: number; readonly error: string; readonly description?: string }): RenderedPage =>
    renderPage(oauthErrorPage({ status: problem.status, code: problem.error, description: problem.description })),
  deviceCode: (view: DeviceCodeView): RenderedPage => renderPage(deviceCodePage(view)),
  deviceConfirm: (view: DeviceConfirmView): RenderedPage => renderPage(deviceConfirmPage(view)),
  deviceDone: (client: Pick<ClientView, 'name'>): RenderedPage =>
    renderPage(deviceDonePage({ clientName: client.name })),
};
