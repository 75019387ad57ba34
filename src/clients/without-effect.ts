/**
 * Properties of specifications (RFC 7591 and its registry, OpenID Connect) that Keyturn does not
 * support, each with the reason. They are refused and not ignored, because whoever writes one
 * relies on it.
 */

const ENCRYPTION = 'Keyturn encrypts nothing that it issues; TLS does'
const REQUEST_OBJECTS =
  'Keyturn takes no request objects; use require_pushed_authorization_requests instead (RFC 9126)'
const MTLS =
  'Keyturn does not see certificates of clients; use private_key_jwt and dpop_bound_access_tokens instead'
const CIBA = 'Keyturn has no backchannel authentication (CIBA)'
const REGISTRATION = 'Keyturn has no registration endpoint; operators add and update clients'
const SUBJECTS = 'a person has the same subject identifier for all clients (subject_type public)'
const FRONT_CHANNEL = 'Keyturn has no front-channel logout; use backchannel_logout_uri instead'
const NOT_READ = 'Keyturn does not use it'

export const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  authorization_details_types: 'Keyturn has no rich authorization requests (RFC 9396)',
  authorization_encrypted_response_alg: ENCRYPTION,
  authorization_encrypted_response_enc: ENCRYPTION,
  backchannel_authentication_request_signing_alg: CIBA,
  backchannel_client_notification_endpoint: CIBA,
  backchannel_token_delivery_mode: CIBA,
  backchannel_user_code_parameter: CIBA,
  client_id_issued_at: 'Keyturn itself records when a client was changed',
  default_acr_values: 'Keyturn has only one way to sign in; requests can name it (acr_values)',
  frontchannel_logout_session_required: FRONT_CHANNEL,
  frontchannel_logout_uri: FRONT_CHANNEL,
  id_token_encrypted_response_alg: ENCRYPTION,
  id_token_encrypted_response_enc: ENCRYPTION,
  introspection_encrypted_response_alg: ENCRYPTION,
  introspection_encrypted_response_enc: ENCRYPTION,
  registration_access_token: REGISTRATION,
  registration_client_uri: REGISTRATION,
  request_object_encryption_alg: REQUEST_OBJECTS,
  request_object_encryption_enc: REQUEST_OBJECTS,
  request_object_signing_alg: REQUEST_OBJECTS,
  request_uris: REQUEST_OBJECTS,
  require_signed_request_object: REQUEST_OBJECTS,
  sector_identifier_uri: SUBJECTS,
  software_id: NOT_READ,
  software_statement: REGISTRATION,
  software_version: NOT_READ,
  tls_client_auth_san_dns: MTLS,
  tls_client_auth_san_email: MTLS,
  tls_client_auth_san_ip: MTLS,
  tls_client_auth_san_uri: MTLS,
  tls_client_auth_subject_dn: MTLS,
  tls_client_certificate_bound_access_tokens: MTLS,
  use_mtls_endpoint_aliases: MTLS,
  userinfo_encrypted_response_alg: ENCRYPTION,
  userinfo_encrypted_response_enc: ENCRYPTION,
}

/** True for an empty value, because programs that write metadata often write all properties. */
export function saysNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
