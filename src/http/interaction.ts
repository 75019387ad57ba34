import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { errors, type InteractionResults } from 'oidc-provider'
import type { Account } from '../accounts/account-store.ts'
import type { Link } from './about-client.ts'
import type { FormSecrets } from './form-secret.ts'
import { EXPIRED } from './pages.ts'
import type { Views } from './views.ts'

type OidcInteraction = Awaited<ReturnType<Provider['interactionDetails']>>
type Client = NonNullable<Awaited<ReturnType<Provider['Client']['find']>>>

/** The question to the person at this browser, and all that is needed to answer oidc-provider. */
export interface Interaction
  extends Pick<OidcInteraction, 'params' | 'prompt' | 'result' | 'grantId'> {
  readonly provider: Provider
  /** The interaction as oidc-provider has it. */
  readonly details: OidcInteraction
  readonly client: Client
  /** Account of the session that the interaction began with. */
  readonly accountId: string | undefined
  /** Id of that session, the same for all of its interactions. */
  readonly sessionUid: string | undefined
  /** The client's redirect URI, to which forms finally lead; undefined in the device flow. */
  readonly leadsTo: string | undefined
  /** Secret that proves that a form is from a page of this interaction. */
  readonly xsrf: string
}

/** A kind of prompt: shows its page, takes its forms. */
export interface Prompt {
  show(ctx: Context, interaction: Interaction): Promise<void>
  /** @param action the name of the button. @returns false if this prompt has no such button */
  take(ctx: Context, interaction: Interaction, action: string): Promise<boolean>
}

/**
 * The interaction of this browser's signed cookie, if it is the one that the path names.
 * @returns undefined if it has ended, expired, or belongs to another browser
 */
export async function findInteraction(
  ctx: Context,
  provider: Provider,
  secrets: FormSecrets,
): Promise<Interaction | undefined> {
  try {
    const details = await provider.interactionDetails(ctx.req, ctx.res)
    const { uid, prompt, params, result, grantId, session } = details
    // Checked although the cookie's path has the uid too, because browsers compare paths
    // differently.
    if (uid !== ctx.params.uid) return undefined
    const client = await provider.Client.find(String(params.client_id))
    if (!client) return undefined
    const { redirect_uri: redirectUri } = params
    const leadsTo = typeof redirectUri === 'string' ? redirectUri : undefined
    const { accountId, uid: sessionUid } = session ?? {}
    const xsrf = secrets.of(uid)
    return {
      provider,
      details,
      client,
      prompt,
      params,
      result,
      grantId,
      accountId,
      sessionUid,
      leadsTo,
      xsrf,
    }
  } catch (error) {
    if (error instanceof errors.SessionNotFound) return undefined
    throw error
  }
}

/** Answers the prompt and sends the browser on to oidc-provider, which asks for more or is done. */
export async function finish(
  ctx: Context,
  { details }: Interaction,
  result: InteractionResults,
): Promise<void> {
  // A sign-in replaces earlier answers; a consent is added to the sign-in before it.
  const before = 'consent' in result ? details.lastSubmission : undefined
  await saveResult(details, { ...before, ...result })
  seeOther(ctx, details.returnTo)
}

/**
 * Saves the answer to a prompt. `Provider.interactionResult` would first read the interaction once
 * more.
 */
export async function saveResult(
  details: OidcInteraction,
  result: InteractionResults,
): Promise<void> {
  details.result = result
  await details.persist()
}

export function seeOther(ctx: Context, location: string): void {
  ctx.redirect(location)
  ctx.status = 303
}

export function showExpired(ctx: Context, views: Views, way: Link | undefined): void {
  views.render(ctx, 'error', { ...EXPIRED, status: 400, way })
}

/** The address of the same step for somebody else than the person whom the session names. */
export function addressOfOther(ctx: Context): string {
  const query = new URLSearchParams(ctx.querystring)
  query.set(OTHER, '')
  return `?${query}`
}

/** True if the person chose to sign in as somebody else. */
export function isOther(ctx: Context): boolean {
  return ctx.query[OTHER] !== undefined
}

/** Parameter of an interaction's address that asks for another person's sign-in. */
const OTHER = 'other'

/** Fields of log lines: the client and the address. */
export function requestFields(ctx: Context, { client }: Pick<Interaction, 'client'>) {
  return { client: client.clientId, address: ctx.ip }
}

/**
 * Fields of log lines: the person. Never a name as typed, because people type passwords there by
 * mistake.
 */
export function accountFields(account: Account | undefined) {
  return account ? { account: account.id, username: account.username } : {}
}
