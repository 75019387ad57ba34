import type { Violation } from '../../errors.ts'
import type { ClientContext } from '../context.ts'
import { isHttpsLoopback, isPlainHttp, isPrivateAddress, isPrivateUse } from '../uris.ts'
import { type ClientRule, type RuledClient, withoutEffect } from './rule.ts'

/** Where a client sends people, and what of it Keyturn calls: as far as the client and the server matter. */

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
    // One that is malformed is left empty, and the others are looked at all the same.
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
      message: `it is "${uri}", and everybody on the way can read what plain http carries (RFC 9700, section 2.6)`,
      fix: 'use https; http is for localhost, 127.0.0.1 and [::1] alone',
    }
  }
  if (isPrivateUse(uri) && !isNative) {
    return {
      message: `it is "${uri}", a scheme that only an application on a phone or desktop has`,
      fix: 'use https, or set application_type to native',
    }
  }
  if (isHttpsLoopback(uri) && isNative) {
    return {
      message: `it is "${uri}", but an application on a phone or desktop has http on a loopback address (RFC 8252, section 7.3)`,
      fix: `write ${uri.replace(/^https/, 'http')} instead`,
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
      const message = `it is "${uri}", and everybody on the way can change what plain http carries`
      return [{ path: name, value: uri, rule: 'plain-http', message, fix: 'use https' }]
    }
    if (!isPrivateAddress(uri) || context.callsPrivateNetworks) return []
    const message = `it is "${uri}", and Keyturn may not call addresses of private networks`
    const fix = 'use an address that everybody can reach, or set outgoing.privateNetworks to true'
    return [{ path: name, value: uri, rule: 'private-address', message, fix }]
  })
}

function toldRule(client: RuledClient, { tellsOfSignOuts }: ClientContext): readonly Violation[] {
  const { backchannel_logout_uri: uri, backchannel_logout_session_required: isRequired } = client
  if (uri === undefined) {
    if (isRequired !== true) return []
    const why = 'the client is not told of sign-outs without backchannel_logout_uri'
    return [withoutEffect('backchannel_logout_session_required', true, why)]
  }
  if (tellsOfSignOuts) return []
  const fix = 'set outgoing.backchannelLogout to true, or remove backchannel_logout_uri'
  const why = 'outgoing.backchannelLogout is false'
  return [{ ...withoutEffect('backchannel_logout_uri', uri, why), fix }]
}
