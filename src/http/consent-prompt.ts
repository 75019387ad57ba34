import { isLoopback } from '../values/loopback.ts'
import { aboutClient, wayBack } from './about-client.ts'
import {
  addToGrant,
  describeRequestedAccess,
  mergeConsent,
  readRequestedAccess,
} from './consent.ts'
import {
  accountFields,
  addressOfOther,
  finish,
  type Prompt,
  requestFields,
  showExpired,
} from './interaction.ts'
import type { InteractionOptions } from './interaction-options.ts'

/** Asks the person to allow what a client asks for and was not granted yet. */
export function createConsentPrompt({
  views,
  accounts,
  consents,
  clock,
  issuer,
  log,
  vocabulary,
}: Pick<
  InteractionOptions,
  'views' | 'accounts' | 'consents' | 'clock' | 'issuer' | 'log' | 'vocabulary'
>): Prompt {
  const findAccount = async (id: string | undefined) => {
    const account = id === undefined ? undefined : await accounts.findById(id)
    return account?.isDisabled ? undefined : account
  }

  return {
    async show(ctx, { accountId, client, leadsTo, prompt, xsrf }) {
      const account = await findAccount(accountId)
      if (!account) return showExpired(ctx, views, wayBack(client, issuer))
      views.render(ctx, 'consent', {
        client: aboutClient(client),
        username: account.username,
        otherPerson: addressOfOther(ctx),
        destination: describeDestination(leadsTo),
        ...describeRequestedAccess(readRequestedAccess(prompt.details, client), vocabulary),
        xsrf,
        leadsOutside: leadsTo !== undefined,
      })
    },

    async take(ctx, interaction, action) {
      if (action !== 'allow') return false
      const { provider, client, prompt, grantId } = interaction
      const { clientId } = client
      const account = await findAccount(interaction.accountId)
      if (!account) {
        showExpired(ctx, views, wayBack(client, issuer))
        return true
      }

      const accountId = account.id
      const allowed = readRequestedAccess(prompt.details, client)
      const existing = grantId ? await provider.Grant.find(grantId) : undefined
      const isTheirs = existing?.accountId === accountId && existing.clientId === clientId
      const grant = isTheirs ? existing : new provider.Grant({ accountId, clientId })
      addToGrant(grant, allowed)
      const consent = { grantId: await grant.save() }

      await consents.change(accountId, clientId, (before) => ({
        ...mergeConsent(before, allowed),
        updatedAt: clock.now(),
      }))
      log.info({ ...requestFields(ctx, interaction), ...accountFields(account) }, 'consent given')
      await finish(ctx, interaction, { consent })
      return true
    },
  }
}

function describeDestination(redirectUri: string | undefined): string {
  if (redirectUri === undefined || !URL.canParse(redirectUri)) return 'your device'
  const { protocol, host, hostname } = new URL(redirectUri)
  if (isLoopback(hostname)) return `${host}, on this device`
  if (protocol === 'https:' || protocol === 'http:') return host
  return `an application on this device (${protocol.slice(0, -1)})`
}
