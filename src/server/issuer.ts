import type { IncomingMessage, ServerResponse } from 'node:http'
import { addFirstAdministrator, type NewAccount } from '../accounts/new-account.ts'
import { assertProfile } from '../clients/profile.ts'
import { clientContext } from '../config/client-context.ts'
import type { IssuerConfig } from '../config/schema.ts'
import { checkClientAlgorithms } from '../oidc/client-algorithms.ts'
import type { Scheduler } from '../ring/scheduler.ts'
import type { RingView } from '../ring/view.ts'
import { createAnswer } from './issuer-app.ts'
import { openIssuerProvider } from './issuer-provider.ts'
import { openIssuerRing } from './issuer-ring.ts'
import { type IssuerScope, issuerScope } from './issuer-scope.ts'
import type { KeyturnProcess } from './process.ts'
import type { Checks } from './readiness.ts'

/** A running issuer with its keys, clients and people. */
export interface Issuer {
  /** The issuer identifier. */
  readonly issuer: string
  readonly scheduler: Scheduler
  /** Readiness checks of this issuer. */
  readonly checks: Checks
  /** Answers a request whose target is in origin-form (`http/target.ts`). */
  answer(request: IncomingMessage, response: ServerResponse): void
  /** Makes the administrator on a first start; the password is shown once. */
  addFirstAdministrator(): Promise<NewAccount | undefined>
  close(): Promise<void>
}

/**
 * Opens an issuer: turns its rings once, builds its provider, and then answers.
 * @throws KeyturnError with what has to be mended before the issuer can start
 */
export async function openIssuer(process: KeyturnProcess, config: IssuerConfig): Promise<Issuer> {
  const opened = new AsyncDisposableStack()
  try {
    const scope = issuerScope(process, config)
    const ring = await openIssuerRing(scope)
    opened.defer(ring.heartbeat.stop)
    const provider = openIssuerProvider(scope, ring.scheduler)
    opened.defer(provider.close)
    ring.show(provider.show)
    await writeClients(scope)
    await reportClients(scope, await ring.scheduler.runOnce())
    const handle = createAnswer(scope, { scheduler: ring.scheduler, provider })
    ring.start()
    opened.defer(ring.scheduler.stop)
    scope.stores.messages.subscribe('clients', () => scope.stores.artifacts.forgetClients())

    return {
      issuer: config.issuer,
      scheduler: ring.scheduler,
      checks: ring.checks,
      answer: (request, response) => {
        // Documents do not count as requests in flight, so they are served even if all others are
        // refused.
        if (!provider.documents.answer(request, response)) handle(request, response)
      },
      addFirstAdministrator: () =>
        addFirstAdministrator(config.admin.username, {
          accounts: scope.stores.accounts,
          passwords: process.passwords,
          clock: process.clock,
        }),
      close: () => opened.disposeAsync(),
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

const OTHER_CLIENTS =
  'some clients were written by a configuration other than this one; if none has them any more, ' +
  'remove these clients'

/**
 * Writes the clients of the configuration into the store; clients of other nodes are kept if there
 * can be other nodes.
 */
async function writeClients({ process, config, stores, log }: IssuerScope): Promise<void> {
  const { clients } = stores
  if (process.isShared) {
    const others = await clients.writeConfigured(config.clients)
    if (others.length > 0) log.warn({ clients: others }, OTHER_CLIENTS)
  } else {
    await clients.replaceConfigured(config.clients)
  }
  await assertProfile(clients, clientContext(config))
}

/** Writes to the log which clients need an algorithm that no ring has. */
async function reportClients({ stores, policies, log }: IssuerScope, view: RingView) {
  const warnings = await checkClientAlgorithms(stores.clients, policies, view)
  for (const warning of warnings) log.warn(warning)
}
