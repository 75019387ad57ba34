/** Systems whose keys `keys import` takes over. They stand apart from their readers, which are slow to import. */
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
