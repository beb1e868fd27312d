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
  deleteFederated,
  type FederatedIdentity,
  federatedOf,
  insertFederated,
  useFederated,
} from './federated.ts';
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
export { insertStep, type Step, type StepPurpose, stepUser, takeStep, voidSteps } from './steps.ts';
export { confirmMail, findPersonByMail, hasSignedIn, insertPerson } from './users.ts';
