import type { Violation } from '../../errors.ts'
import type { ClientContext } from '../context.ts'
import { isHttpsLoopback, isPlainHttp, isPrivateAddress, isPrivateUse } from '../uris.ts'
import { type ClientRule, type RuledClient, withoutEffect } from './rule.ts'

/** Rules for a client's URIs that depend on the client or on the server. */

export const URI_RULES: readonly ClientRule[] = [
  { needs: ['application_type'], check: redirectUrisRule },
  { needs: ['token_endpoint_auth_method'], check: calledUrisRule },
  { needs: ['backchannel_logout_uri'], check: toldRule },
]

function redirectUrisRule(
  client: RuledClient,
  { isProduction }: ClientContext,
): readonly Violation[] {
  const { isNative } = client
  return (['redirect_uris', 'post_logout_redirect_uris'] as const).flatMap((name) => {
    // A malformed URI is undefined here; the others are checked all the same.
    const uris: readonly (string | undefined)[] = client[name] ?? []
    return uris.flatMap((uri, index) => {
      if (uri === undefined) return []
      const wrong = redirectProblem(uri, { isNative, isProduction })
      return wrong ? [{ path: `${name}.${index}`, value: uri, rule: 'redirect-uri', ...wrong }] : []
    })
  })
}

function redirectProblem(
  uri: string,
  { isNative, isProduction }: { readonly isNative: boolean; readonly isProduction: boolean },
): Pick<Violation, 'message' | 'fix'> | undefined {
  if (isPlainHttp(uri) && (isProduction || isNative)) {
    return {
      message: `it is "${uri}", but everybody on the way can read plain http (RFC 9700, section 2.6)`,
      fix: 'use https; http is only for localhost, 127.0.0.1 and [::1]',
    }
  }
  if (isPrivateUse(uri) && !isNative) {
    return {
      message: `it is "${uri}", but only an application on a phone or desktop can have this scheme`,
      fix: 'use https, or set application_type to native',
    }
  }
  if (isHttpsLoopback(uri) && isNative) {
    return {
      message: `it is "${uri}", but an application on a phone or desktop must use http on a loopback address (RFC 8252, section 7.3)`,
      fix: `use ${uri.replace(/^https/, 'http')}`,
    }
  }
  return undefined
}

function calledUrisRule(client: RuledClient, context: ClientContext): readonly Violation[] {
  return (['jwks_uri', 'backchannel_logout_uri'] as const).flatMap((name) => {
    const uri = client[name]
    if (uri === undefined) return []
    const mayBePlain =
      !context.isProduction || (name === 'backchannel_logout_uri' && client.method !== 'none')
    if (isPlainHttp(uri) && !mayBePlain) {
      const message = `it is "${uri}", but everybody on the way can change plain http`
      return [{ path: name, value: uri, rule: 'plain-http', message, fix: 'use https' }]
    }
    if (!isPrivateAddress(uri) || context.callsPrivateNetworks) return []
    const message = `it is "${uri}", but Keyturn may not call addresses of private networks`
    const fix = 'use a public address, or set outgoing.privateNetworks to true'
    return [{ path: name, value: uri, rule: 'private-address', message, fix }]
  })
}

function toldRule(client: RuledClient, { tellsOfSignOuts }: ClientContext): readonly Violation[] {
  const { backchannel_logout_uri: uri, backchannel_logout_session_required: isRequired } = client
  if (uri === undefined) {
    if (isRequired !== true) return []
    const why = 'backchannel_logout_uri is missing'
    return [withoutEffect('backchannel_logout_session_required', true, why)]
  }
  if (tellsOfSignOuts) return []
  const fix = 'set outgoing.backchannelLogout to true, or remove backchannel_logout_uri'
  const why = 'outgoing.backchannelLogout is false'
  return [{ ...withoutEffect('backchannel_logout_uri', uri, why), fix }]
}
