import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Consent, ConsentStore } from '../accounts/account-store.ts'

type Grant = InstanceType<Provider['Grant']>

/** What a client asks for and the person has not yet allowed. */
export interface Wishes {
  readonly oidcScopes: readonly string[]
  readonly oidcClaims: readonly string[]
  /** Scopes by resource indicator (RFC 8707). */
  readonly resourceScopes: Readonly<Record<string, readonly string[]>>
}

/** What the configuration says of the things that a client can ask for. */
export interface Vocabulary {
  /** Claims that each scope gives. */
  readonly claims: Readonly<Record<string, readonly string[]>>
  /** What people know APIs by; the others are named by their identifier (RFC 8707). */
  readonly resources: readonly { readonly identifier: string; readonly name?: string | undefined }[]
}

const SCOPES: Readonly<Record<string, string>> = {
  openid: 'recognise you when you come back',
  profile: 'see your name and the other details of your profile',
  email: 'see your email address',
  address: 'see your postal address',
  phone: 'see your phone number',
  offline_access: 'keep this access while you are away',
}

const CLAIMS: Readonly<Record<string, string>> = {
  name: 'see your name',
  given_name: 'see your given name',
  family_name: 'see your family name',
  middle_name: 'see your middle name',
  nickname: 'see your nickname',
  preferred_username: 'see your user name',
  profile: 'see the address of your profile page',
  picture: 'see your picture',
  website: 'see the address of your website',
  gender: 'see your gender',
  birthdate: 'see your date of birth',
  zoneinfo: 'see your time zone',
  locale: 'see your language',
  email: 'see your email address',
  email_verified: 'see whether your email address is confirmed',
  phone_number: 'see your phone number',
  phone_number_verified: 'see whether your phone number is confirmed',
  address: 'see your postal address',
  updated_at: 'see when your details last changed',
}

/** Reads `prompt.details` of oidc-provider's consent prompt. */
export function readWishes(details: Readonly<Record<string, unknown>>): Wishes {
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = details
  return {
    oidcScopes: texts(missingOIDCScope),
    oidcClaims: texts(missingOIDCClaims),
    resourceScopes: Object.fromEntries(
      Object.entries(missingResourceScopes ?? {}).map(([name, scopes]) => [name, texts(scopes)]),
    ),
  }
}

/** The wishes in words that complete "the application asks to". */
export function describeWishes(
  { oidcScopes, oidcClaims, resourceScopes }: Wishes,
  { claims, resources }: Vocabulary,
) {
  const covered = oidcScopes.flatMap((scope) => claims[scope] ?? [])
  return {
    permissions: [
      ...oidcScopes.map((scope) => SCOPES[scope] ?? `use the permission “${scope}”`),
      ...oidcClaims
        .filter((claim) => !covered.includes(claim))
        .map((claim) => CLAIMS[claim] ?? `see your “${claim}”`),
    ],
    resources: Object.entries(resourceScopes).map(([identifier, scopes]) => ({
      name: resources.find((known) => known.identifier === identifier)?.name ?? identifier,
      scopes,
    })),
  }
}

/** Adds to a grant, which the caller saves. */
export function addToGrant(grant: Grant, { oidcScopes, oidcClaims, resourceScopes }: Wishes): void {
  if (oidcScopes.length) grant.addOIDCScope([...oidcScopes])
  if (oidcClaims.length) grant.addOIDCClaims([...oidcClaims])
  for (const [resource, scopes] of Object.entries(resourceScopes)) {
    if (scopes.length) grant.addResourceScope(resource, [...scopes])
  }
}

/** What is remembered once `allowed` joins what was remembered `before`. */
export function mergeConsent(before: Wishes | undefined, allowed: Wishes): Wishes {
  const union = (some: readonly string[] = [], more: readonly string[] = []) => [
    ...new Set([...some, ...more]),
  ]
  const resources = union(
    Object.keys(before?.resourceScopes ?? {}),
    Object.keys(allowed.resourceScopes),
  )
  return {
    oidcScopes: union(before?.oidcScopes, allowed.oidcScopes),
    oidcClaims: union(before?.oidcClaims, allowed.oidcClaims),
    resourceScopes: Object.fromEntries(
      resources.map((name) => [
        name,
        union(before?.resourceScopes[name], allowed.resourceScopes[name]),
      ]),
    ),
  }
}

/**
 * The `loadExistingGrant` of oidc-provider: the grant of this interaction or session, or else a new
 * one made from what the person allowed before, in any session. So consent is asked once, and later
 * for what is new. `prompt=consent` asks all the same.
 */
export function createLoadExistingGrant(consents: Pick<ConsentStore, 'find'>) {
  return async (ctx: KoaContextWithOIDC): Promise<Grant | undefined> => {
    const { client, account, session, result, provider } = ctx.oidc
    if (!client || !account) return undefined
    const { clientId } = client
    const { accountId } = account

    const grantId = result?.consent?.grantId ?? session?.grantIdFor(clientId)
    const existing = grantId ? await provider.Grant.find(grantId) : undefined
    if (existing?.accountId === accountId && existing.clientId === clientId) return existing

    const consent: Consent | undefined = await consents.find(accountId, clientId)
    if (!consent) return undefined
    const grant = new provider.Grant({ accountId, clientId })
    addToGrant(grant, consent)
    await grant.save()
    return grant
  }
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
