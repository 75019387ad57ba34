import type Provider from 'oidc-provider'
import type { AccountStore, ConsentStore } from '../accounts/account-store.ts'
import type { SignIn } from '../accounts/sign-in.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../seldom-log.ts'
import type { Vocabulary } from './consent.ts'
import type { FormSecrets } from './form-secret.ts'
import type { KnownBrowser } from './known-browser.ts'
import type { Views } from './views.ts'

/** Dependencies of the pages of an interaction. */
export interface InteractionOptions {
  /** The current provider; called once per request, because a request keeps its instance. */
  readonly provider: () => Provider
  readonly views: Views
  readonly signIn: SignIn
  /** If left out, no browser is remembered. */
  readonly browsers?: KnownBrowser
  readonly accounts: Pick<AccountStore, 'findById'>
  readonly consents: Pick<ConsentStore, 'change'>
  readonly clock: Pick<Clock, 'now'>
  readonly issuer: string
  readonly secrets: FormSecrets
  readonly vocabulary: Vocabulary
  readonly log: Log
}
