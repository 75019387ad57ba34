import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Consent, ConsentStore } from '../accounts/account-store.ts'
import { ownProperties } from '../clients/properties.ts'

type Grant = InstanceType<Provider['Grant']>

/** Scopes and claims that a client asks for or a person has allowed. */
export interface RequestedAccess {
  readonly oidcScopes: readonly string[]
  readonly oidcClaims: readonly string[]
  /** Scopes by resource indicator (RFC 8707). */
  readonly resourceScopes: Readonly<Record<string, readonly string[]>>
}

/** Words of the configuration for scopes, claims and APIs. */
export interface Vocabulary {
  /** Claims that each scope gives. */
  readonly claims: Readonly<Record<string, readonly string[]>>
  /** Names of APIs; an API without a name is shown by its identifier (RFC 8707). */
  readonly resources: readonly {
    readonly identifier: string
    readonly name?: string | undefined
    /** Completes "the application asks to", by scope. */
    readonly scopeDescriptions?: Readonly<Record<string, string>>
  }[]
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

/**
 * Reads `prompt.details` of oidc-provider's consent prompt. A client's default API also has the
 * OpenID scopes, which are left out here because they are listed separately.
 */
export function readRequestedAccess(
  details: Readonly<Record<string, unknown>>,
  client: object = {},
): RequestedAccess {
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = details
  const { default_resource: byDefault, resources = {} } = ownProperties(client)
  const ofApi = (name: string, scopes: unknown) =>
    texts(scopes).filter((scope) => name !== byDefault || resources[name]?.includes(scope))
  return {
    oidcScopes: texts(missingOIDCScope),
    oidcClaims: texts(missingOIDCClaims),
    resourceScopes: Object.fromEntries(
      Object.entries(missingResourceScopes ?? {}).flatMap(([name, scopes]) => {
        const wanted = ofApi(name, scopes)
        return wanted.length > 0 ? [[name, wanted]] : []
      }),
    ),
  }
}

/** Describes the requested access in words that complete "the application asks to". */
export function describeRequestedAccess(
  { oidcScopes, oidcClaims, resourceScopes }: RequestedAccess,
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
    resources: Object.entries(resourceScopes).map(([identifier, scopes]) => {
      const known = resources.find((resource) => resource.identifier === identifier)
      return {
        name: known?.name ?? identifier,
        scopes: scopes.map((name) => ({ name, words: known?.scopeDescriptions?.[name] })),
      }
    }),
  }
}

/** Adds the allowed access to a grant, which the caller saves. */
export function addToGrant(
  grant: Grant,
  { oidcScopes, oidcClaims, resourceScopes }: RequestedAccess,
): void {
  if (oidcScopes.length) grant.addOIDCScope([...oidcScopes])
  if (oidcClaims.length) grant.addOIDCClaims([...oidcClaims])
  for (const [resource, scopes] of Object.entries(resourceScopes)) {
    if (scopes.length) grant.addResourceScope(resource, [...scopes])
  }
}

/** The union of the consent remembered `before` and the newly `allowed` access. */
export function mergeConsent(
  before: RequestedAccess | undefined,
  allowed: RequestedAccess,
): RequestedAccess {
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
 * only for new scopes and claims. `prompt=consent` always asks. A client with `consent: skip` is
 * granted what it asks for.
 */
export function createLoadExistingGrant(consents: Pick<ConsentStore, 'find'>) {
  return async (ctx: KoaContextWithOIDC): Promise<Grant | undefined> => {
    const { client, account, session, result, provider } = ctx.oidc
    if (!client || !account) return undefined
    const { clientId } = client
    const { accountId } = account

    const grantId = result?.consent?.grantId ?? session?.grantIdFor(clientId)
    const known = grantId ? await provider.Grant.find(grantId) : undefined
    const existing =
      known?.accountId === accountId && known.clientId === clientId ? known : undefined
    const isAsked = ownProperties(client).consent !== 'skip'
    const consent: Consent | undefined =
      existing || !isAsked ? undefined : await consents.find(accountId, clientId)
    if (!existing && !consent && isAsked) return undefined

    const grant = existing ?? new provider.Grant({ accountId, clientId })
    if (consent) addToGrant(grant, consent)
    const unasked = isAsked ? openidAtApi(ctx, grant) : missing(ctx, grant)
    addToGrant(grant, unasked)
    if (!existing || !isNothing(unasked)) await grant.save()
    return grant
  }
}

/** Access that the request asks for and the grant lacks. */
function missing({ oidc }: KoaContextWithOIDC, grant: Grant): RequestedAccess {
  const lacking = (asked: Iterable<string>, granted: readonly string[]) =>
    [...asked].filter((name) => !granted.includes(name))
  const { requestParamScopes, requestParamOIDCScopes, requestParamClaims, resourceServers } = oidc
  return {
    oidcScopes: lacking(requestParamOIDCScopes, grant.getOIDCScope().split(' ')),
    oidcClaims: lacking(requestParamClaims, grant.getOIDCClaims()),
    resourceScopes: Object.fromEntries(
      Object.entries(resourceServers ?? {}).map(([name, { scopes }]) => {
        const asked = requestParamScopes.intersection(scopes)
        return [name, lacking(asked, grant.getResourceScope(name).split(' '))]
      }),
    ),
  }
}

/**
 * OpenID scopes that the person allowed and that tokens for the client's default API have as well
 * (`oidc/apis.ts`), so that the person is not asked for them a second time.
 */
function openidAtApi(ctx: KoaContextWithOIDC, grant: Grant): RequestedAccess {
  const nothing: RequestedAccess = { oidcScopes: [], oidcClaims: [], resourceScopes: {} }
  const { default_resource: api, resources = {} } = ownProperties(ctx.oidc.client ?? {})
  if (api === undefined || !ctx.oidc.resourceServers?.[api]) return nothing
  const allowed = grant.getOIDCScope().split(' ')
  const { resourceScopes } = missing(ctx, grant)
  const scopes = resourceScopes[api]?.filter(
    (scope) => allowed.includes(scope) && !resources[api]?.includes(scope),
  )
  return { ...nothing, resourceScopes: { [api]: scopes ?? [] } }
}

function isNothing({ oidcScopes, oidcClaims, resourceScopes }: RequestedAccess): boolean {
  return [oidcScopes, oidcClaims, ...Object.values(resourceScopes)].every(
    (names) => names.length === 0,
  )
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
