import type { AdapterPayload } from 'oidc-provider'
import type { PayloadCipher } from '../artifacts/payload-cipher.ts'
import type { RowMac } from '../artifacts/row-mac.ts'
import { type Client, type ClientMetadata, DEFAULT_ID_TOKEN_ALGORITHM } from '../clients/client.ts'
import {
  compareSecret,
  readSecret,
  type StoredSecret,
  secretOf,
  storeAgain,
  storeSecret,
} from '../clients/client-secret.ts'
import type { PreviousSecret } from '../clients/previous-secrets.ts'
import type { ClientRow } from './tables.ts'

/**
 * Converts clients to rows of the table `client`, authenticated and without the text of a secret.
 */
export interface ClientRows {
  /**
   * @param known the client before the change, whose secret is kept
   * @throws Refused for a secret that cannot be kept
   */
  toRow(
    metadata: ClientMetadata,
    from: Pick<Client, 'source' | 'updatedAt'>,
    known?: Client,
  ): ClientRow
  /** @returns undefined if there is no row or it fails its check */
  toClient(row: ClientRow | undefined): Client | undefined
  /** The client for oidc-provider. */
  toPayload(row: ClientRow | undefined): AdapterPayload | undefined
  /** True if `toRow` would write the same row, apart from random parts and times. */
  isSame(row: ClientRow | null, metadata: ClientMetadata, source: Client['source']): boolean
}

/** The fields of a row that its MAC covers. */
export type ClientFields = Omit<ClientRow, 'mac'>

export const CLIENT_FIELDS = [
  'id',
  'metadata',
  'idTokenAlgorithm',
  'source',
  'updatedAt',
] as const satisfies readonly (keyof ClientFields)[]

/** Content of the column `metadata`, in JSON. */
export interface StoredMetadata {
  readonly [name: string]: unknown
  readonly client_secret?: StoredSecret
  readonly previous_client_secrets?: readonly (StoredSecret & Pick<PreviousSecret, 'until'>)[]
}

export function createClientRows(mac: RowMac<ClientFields>, cipher: PayloadCipher): ClientRows {
  const toRow: ClientRows['toRow'] = (metadata, { source, updatedAt }, known) => {
    const { client_secret: secret, previous_client_secrets: previous, client_id: id } = metadata
    const { seal } = secretOf(cipher, id)
    const store = secret === known?.metadata.client_secret ? storeAgain : storeSecret
    const kept = {
      ...(typeof secret === 'string' && { client_secret: store(secret, metadata, seal) }),
      ...(previous && {
        previous_client_secrets: previous.map(({ secret, until }) => ({
          ...storeAgain(secret, metadata, seal),
          until,
        })),
      }),
    }
    return mac.sign({
      id,
      metadata: JSON.stringify({ ...metadata, ...kept }),
      idTokenAlgorithm: idTokenAlgorithm(metadata),
      source,
      updatedAt,
    })
  }

  const toClient: ClientRows['toClient'] = (row) => {
    const genuine = mac.check(row)
    if (!genuine) return undefined
    const { id, source, updatedAt } = genuine
    const stored: StoredMetadata = JSON.parse(genuine.metadata)
    const { client_secret: secret, previous_client_secrets: previous, ...metadata } = stored
    const { open } = secretOf(cipher, id)
    const read = {
      ...(secret && { client_secret: readSecret(secret, open) }),
      ...(previous && {
        previous_client_secrets: previous.map(({ until, ...old }) => ({
          secret: readSecret(old, open),
          until,
        })),
      }),
    }
    return { id, metadata: { ...metadata, ...read, client_id: id }, source, updatedAt }
  }

  return {
    toRow,
    toClient,
    // The type of metadata is narrower than oidc-provider's.
    toPayload: (row) => toClient(row)?.metadata as AdapterPayload | undefined,
    isSame: (row, metadata, source) => {
      const known = row ? toClient(row) : undefined
      if (known?.source !== source) return false
      const { client_secret: kept, client_id: _, ...rest } = known.metadata
      const { client_secret: secret, client_id: __, ...wanted } = metadata
      if (JSON.stringify(rest) !== JSON.stringify(wanted)) return false
      if (typeof kept !== 'string' || typeof secret !== 'string') return kept === secret
      return compareSecret(kept, secret)
    },
  }
}

function idTokenAlgorithm({ id_token_signed_response_alg: algorithm }: ClientMetadata): string {
  return typeof algorithm === 'string' ? algorithm : DEFAULT_ID_TOKEN_ALGORITHM
}
