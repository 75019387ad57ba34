/**
 * Every situation in which an operator's request is refused or names something that does not exist:
 * its stable code and its values. Messages of the core name no command; `cli/advice.ts` has the
 * words for users of commands, and a console or an API has its own. Instants are seconds since the
 * epoch.
 */
export interface Situations {
  // Keys
  readonly ring_not_found: { readonly ring: string; readonly configured: readonly string[] }
  readonly key_not_named: Nothing
  readonly key_not_found: { readonly named: string }
  readonly key_ambiguous: { readonly named: string; readonly kids: readonly string[] }
  readonly kid_taken: { readonly kid: string }
  readonly place_taken: { readonly ring: string; readonly generation: number }
  readonly nothing_to_rotate: { readonly ring: string }
  /** @property freeAt instant at which the next key leaves the JWKS; null if unknown */
  readonly jwks_full: { readonly ring: string; readonly freeAt: number | null }
  readonly already_turns: { readonly ring: string; readonly kid: string; readonly at: number }
  readonly not_pre_active: { readonly kid: string; readonly phase: string }
  /** @property knownAt instant from which relying parties are sure to know the key */
  readonly key_too_new: { readonly kid: string; readonly knownAt: number }
  // Keys that move in
  readonly signer_undecided: {
    readonly ring: string
    readonly present: string
    readonly imported: string
  }
  /** @property at instant at which keys for validation were to leave the JWKS */
  readonly end_past: { readonly at: number }
  /** @property at as of `end_past`, for a key that is to sign */
  readonly end_unused: { readonly at: number }
  /** @property latest the latest instant that is believed */
  readonly instant_far: { readonly at: number; readonly latest: number }
  /** @property needed seconds that a key must stay published once retired */
  readonly retention_short: {
    readonly ring: string
    readonly needed: number
    readonly kept: number
  }
  readonly key_public_only: { readonly kid: string }
  /** @property kid given as the next one to sign, and in the source under no such name */
  readonly next_unknown: { readonly kid: string }
  readonly key_unseen: { readonly kid: string; readonly ring: string }
  readonly kid_not_single: { readonly keys: number }
  readonly preview_only: Nothing
  readonly export_unprotected: Nothing
  readonly file_taken: { readonly path: string }
  readonly ring_manual: { readonly ring: string }
  readonly source_unreadable: { readonly source: string }

  readonly revocation_in_future: { readonly createdBefore: number; readonly now: number }
  readonly key_store_empty: Nothing
  readonly no_key_lost: Nothing

  // Issuers
  readonly issuer_not_named: { readonly issuers: readonly string[] }
  readonly issuer_not_found: { readonly issuer: string; readonly issuers: readonly string[] }
  readonly issuer_invalid: { readonly issuer: string }
  readonly issuer_taken: { readonly issuer: string }

  // Nodes
  /** @property countsFor seconds for which a node that was killed counts as running */
  readonly nodes_running: { readonly nodes: readonly string[]; readonly countsFor: number }

  // Clients
  readonly client_not_found: { readonly id: string }
  readonly client_exists: { readonly id: string }
  readonly client_in_configuration: { readonly id: string }
  readonly client_invalid: { readonly violations: readonly object[] }
  readonly client_unacceptable: { readonly id: string; readonly reason: string }
  readonly client_unmet_profile: { readonly id: string; readonly profile: string }
  readonly client_without_ring: { readonly id: string; readonly algorithm: string }
  readonly client_without_secret: { readonly id: string }
  readonly client_id_fixed: { readonly id: string }
  readonly client_id_needed: { readonly id: string }
  readonly client_secret_kept: { readonly id: string }
  readonly client_secret_like_hash: Nothing
  readonly client_secrets_too_many: { readonly id: string; readonly most: number }
  readonly property_unknown: {
    readonly id: string
    readonly name: string
    readonly nearest: string | null
  }
  readonly property_set_and_removed: { readonly name: string }

  // People
  readonly account_not_found: { readonly username: string }
  readonly account_removed_meanwhile: { readonly username: string }
  readonly account_invalid: { readonly problems: readonly string[] }
  readonly username_taken: { readonly username: string }
  /** @property other existing name that looks alike */
  readonly username_alike: { readonly username: string; readonly other: string }
  readonly import_invalid: { readonly problems: readonly string[] }
  readonly import_names_taken: { readonly problems: readonly string[] }
  readonly claims_unchanged: Nothing

  // Simulations
  readonly simulation_nodes_too_few: { readonly least: number }
  readonly simulation_too_short: Nothing
  readonly simulation_too_large: { readonly ring: string }
  readonly simulation_without_rings: Nothing
  readonly policy_unsafe: { readonly unsafe: number; readonly models: number }

  // Databases and backups
  readonly database_not_found: { readonly place: string; readonly isEmbedded: boolean }
  readonly database_not_empty: { readonly table: string }
  readonly database_url_invalid: { readonly expected: string }
  readonly migrations_pending: { readonly pending: number; readonly all: number }
  readonly backup_elsewhere: { readonly engine: string }
  readonly backup_folder_taken: { readonly folder: string }
  readonly backup_kek_unreadable: { readonly path: string }
  readonly backup_file_taken: { readonly path: string }
  readonly witness_not_found: Nothing
  readonly restore_needs_backup: Nothing

  // Other key rings
  readonly elements_given: Nothing
  readonly no_successor: { readonly blocked: string }
  readonly ring_key_not_found: { readonly where: string }
  readonly ring_read_only: { readonly type: string }

  // Processes
  readonly cannot_listen: { readonly host: string; readonly port: number }
  readonly socket_not_passed: Nothing

  // Input of commands
  readonly file_unreadable: { readonly file: string }
  readonly input_invalid: Nothing
}

export type SituationCode = keyof Situations

type Nothing = Readonly<Record<never, never>>
