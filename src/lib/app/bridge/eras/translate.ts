import type { Translate } from '../backend.ts';
import { LegacyOverModern } from './legacy-over-modern.ts';
import { ModernOverLegacy } from './modern-over-legacy.ts';

/** A backend as clients of the other era see it. */
export const translate: Translate = (backend, to, listener) =>
  to === 'modern' ? new ModernOverLegacy(backend, listener) : new LegacyOverModern(backend, listener);
