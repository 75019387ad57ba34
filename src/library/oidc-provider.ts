/**
 * `keyturn/oidc-provider`: an existing oidc-provider application gets signing keys that turn by themselves.
 * It needs oidc-provider besides what `keyturn/ring` needs.
 *
 * @module keyturn/oidc-provider
 */
export {
  openRotatingProvider,
  type RotatingProvider,
  type RotatingProviderOptions,
} from './rotating-provider.ts'
