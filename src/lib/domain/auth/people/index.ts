export { type Attempts, countAttempt, uncountAttempts } from './attempts.ts';
export {
  type BrowserSession,
  endBrowserSession,
  findBrowserSession,
  insertBrowserSession,
  type NewBrowserSession,
  replaceBrowserHash,
  type SignInMethod,
} from './browser-sessions.ts';
export {
  deletePasskey,
  findPasskey,
  insertPasskey,
  type KnownPasskey,
  type Passkey,
  passkeysOf,
  renamePasskey,
  usePasskey,
} from './passkeys.ts';
export { insertStep, type Step, type StepPurpose, takeStep, voidSteps } from './steps.ts';
