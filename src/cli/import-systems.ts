/** Systems of `keys import`, in a file apart from their readers, which are slow to import. */
export const SYSTEMS = [
  'duende',
  'jwks',
  'pem',
  'keycloak',
  'oidc-provider',
  'hydra',
  'dex',
] as const

export type System = (typeof SYSTEMS)[number]
