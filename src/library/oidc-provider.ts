/**
 * `keyturn/oidc-provider`: an existing oidc-provider application gets signing keys that turn by
 * themselves. The module needs oidc-provider in addition to the packages of `keyturn/ring`.
 *
 * @module keyturn/oidc-provider
 */
export {
  openRotatingProvider,
  type RotatingProvider,
  type RotatingProviderOptions,
} from './rotating-provider.ts'
