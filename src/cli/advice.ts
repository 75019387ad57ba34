import {
  ConfigInvalid,
  ImportIncomplete,
  KekMissing,
  KeyturnError,
  NotFound,
  Refused,
  SealBroken,
} from '../errors.ts'
import {
  DeploymentSecretDisplaced,
  IssuerChanged,
  IssuerRenamed,
} from '../ring/deployment-errors.ts'
import type { SituationCode, Situations } from '../situations.ts'
import { shellWord } from '../values/shell-word.ts'
import { plainCell } from '../values/steering.ts'

/**
 * Advice for people who use commands. Messages of the core say what is wrong and name no command,
 * because a console and an API show them too; the commands that help are listed here.
 */

/** Words for the details of a situation; undefined if the message is enough. */
type Advice<C extends SituationCode> = (details: Situations[C]) => string | undefined

const enough = () => undefined
const listKeys = () => 'See: keyturn keys list'

/** Advice for every situation; the type makes sure that none is missing. */
export const ADVICE: { readonly [C in SituationCode]: Advice<C> } = {
  ring_not_found: enough,
  key_not_named: listKeys,
  key_not_found: listKeys,
  key_ambiguous: enough,
  kid_taken: enough,
  place_taken: listKeys,
  nothing_to_rotate: listKeys,
  jwks_full: enough,
  already_turns: ({ kid }) =>
    `To switch earlier, at a price: keyturn keys promote ${shellWord(kid)} --force`,
  not_pre_active: listKeys,
  key_too_new: ({ kid }) => `To accept that: keyturn keys promote ${shellWord(kid)} --force`,
  signer_undecided: () =>
    'To sign with the imported key: --signer imported. To keep signing with the present key: --signer present',
  retention_short: enough,
  end_past: enough,
  end_unused: enough,
  instant_far: enough,
  key_public_only: enough,
  next_unknown: enough,
  key_unseen: () =>
    'Publish it first: --as standby. If relying parties know it already: --signer imported',
  kid_not_single: enough,
  preview_only: enough,
  export_unprotected: () =>
    'To protect them: --key-ring DIR --application NAME. To write them in clear: --clear',
  file_taken: enough,
  ring_manual: () => 'To add a key: keyturn keys add FILE --as standby',
  source_unreadable: enough,
  revocation_in_future: enough,
  key_store_empty: enough,
  no_key_lost: enough,

  issuer_not_named: ({ issuers }) =>
    `\nName one of them: keyturn --issuer ${shellWord(issuers[0] ?? '')} ...`,
  issuer_not_found: () => '\nSee: keyturn issuers list',
  issuer_invalid: enough,
  issuer_taken: () => 'See: keyturn issuers list',

  nodes_running: () => 'See: keyturn nodes list',

  client_not_found: () => 'See: keyturn clients list',
  client_exists: ({ id }) =>
    `See: keyturn clients show ${shellWord(id)}. To remove it: keyturn clients remove ${shellWord(id)}`,
  client_in_configuration: enough,
  client_invalid: enough,
  client_unacceptable: enough,
  client_unmet_profile: ({ id }) => `To change it: keyturn clients update ${shellWord(id)}`,
  client_without_ring: enough,
  client_without_secret: enough,
  client_id_fixed: () => 'To add it: keyturn clients add',
  client_id_needed: enough,
  client_secret_kept: ({ id }) =>
    `For a new secret: keyturn clients secret ${shellWord(id)}. For none: keyturn clients update ${shellWord(id)} --public`,
  client_secret_like_hash: enough,
  client_secrets_too_many: ({ id }) =>
    `To end them: keyturn clients secret ${shellWord(id)} --end-overlap, or with the same command: --overlap 0s`,
  property_unknown: ({ id }) => `See: keyturn clients show ${shellWord(id)}`,
  property_set_and_removed: enough,

  account_not_found: () => 'See: keyturn accounts list',
  account_removed_meanwhile: enough,
  account_invalid: enough,
  username_taken: enough,
  username_alike: enough,
  import_invalid: () => '\nThe format of lines: keyturn accounts import --help',
  import_names_taken: enough,
  claims_unchanged: () => 'Name a claim, as in --email ADDRESS or --remove nickname.',

  simulation_nodes_too_few: enough,
  simulation_too_short: () => 'With: --days N',
  simulation_too_large: enough,
  simulation_without_rings: enough,
  policy_unsafe: enough,

  database_not_found: () => 'To create it without a server: keyturn db migrate',
  database_not_empty: enough,
  database_url_invalid: enough,
  migrations_pending: () => 'Apply with: keyturn db migrate',
  backup_elsewhere: enough,
  backup_folder_taken: enough,
  backup_kek_unreadable: () => 'To back up the rest: keyturn backup FOLDER --no-kek',
  backup_file_taken: enough,
  witness_not_found: () => 'See: keyturn keys events',
  restore_needs_backup: () => 'To start anew without it: keyturn restore accept --reason TEXT',

  elements_given: enough,
  no_successor: enough,
  ring_key_not_found: listKeys,
  ring_read_only: enough,

  cannot_listen: enough,
  socket_not_passed: enough,

  file_unreadable: enough,
  input_invalid: enough,
}

/** Advice for errors that are not situations, by code. */
const OTHER_ADVICE: Readonly<Record<string, () => string>> = {
  no_active_key: listKeys,
  system_secrets_missing: () => 'With: --secrets-file FILE',
  keystore_missing: () => 'With: --files DIR',
  realm_unknown: () => 'With: --realm NAME',
  unprotect_missing: () => 'With: --key-ring DIR --application NAME',
  unprotect_failed: () =>
    'With: --key-ring DIR --application NAME, and --certificate FILE if one encrypts the key ring',
  password_missing: () => 'With: --password-file FILE; an empty file means the empty password',
  password_wrong: () =>
    'The password of the file: --password-file FILE. The password of the key: --key-password-file FILE. ' +
    'The secrets of Hydra: --secrets-file FILE',
  order_in_doubt: () => 'To see if it was recorded: keyturn keys events',
  store_incomplete: () => 'To give them up: keyturn restore accept --reason TEXT',
  store_outdated: () =>
    '\n  See what is missing:       keyturn restore check\n' +
    '  Apply what is missing:     keyturn restore apply\n' +
    '  Accept the older store:    keyturn restore accept --reason TEXT',
}

/** Advice for an error; undefined if no command helps. */
export function adviceFor(error: KeyturnError): string | undefined {
  if (error instanceof Refused || error instanceof NotFound) {
    const { code, details }: Refused | NotFound = error
    const advise = ADVICE[code] as Advice<SituationCode> // the class relates code and details
    return advise(details)
  }
  if (error instanceof SealBroken) {
    return `To revoke it: keyturn keys revoke ${shellWord(error.kid)}`
  }
  if (error instanceof KekMissing) return adviceForKek(error)
  if (error instanceof IssuerRenamed) return renaming(error.renamedTo, error.issuer)
  if (error instanceof IssuerChanged) {
    const [[from = ''], [to = '']] = [error.known, error.configured]
    return renaming(from, to)
  }
  if (error instanceof ConfigInvalid) {
    const isFile = error.violations.some(({ rule }) => rule === 'config-file')
    return isFile ? '\nTo use another file: keyturn --config FILE' : undefined
  }
  if (error instanceof ImportIncomplete) return adviceForLoss(error)
  const advice = OTHER_ADVICE[error.code]?.()
  // Some errors say what was done before the failure and have the reason as their cause.
  return advice ?? (error.cause instanceof KeyturnError ? adviceFor(error.cause) : undefined)
}

/** Most keys that an advice lists; the preview has all. */
const LEAVE_MAX = 20

/** Advice for an import that would lose keys: how to mend each, and how to go on without. */
function adviceForLoss({ lost }: ImportIncomplete): string {
  const names = [...new Set(lost.map(({ name }) => plainCell(name)))]
  const leave = names.slice(0, LEAVE_MAX).map((name) => `--leave ${shellWord(name)}`)
  const more = names.length > LEAVE_MAX ? ' and so on' : ''
  return [...mending(lost), `To accept the loss: ${leave.join(' ')}${more}`].join('. ')
}

/** Advice for keys that cannot come in, once for each code that a command can help with. */
export function mending(lost: readonly { readonly code: string }[]): readonly string[] {
  return [...new Set(lost.map(({ code }) => code))].flatMap((code) => OTHER_ADVICE[code]?.() ?? [])
}

function renaming(from: string, to: string): string {
  return `To see what a new URL changes: keyturn issuers rename ${shellWord(from)} ${shellWord(to)}`
}

function adviceForKek(error: KekMissing): string | undefined {
  const abandon = 'keyturn keys abandon --lost-kek'
  if (error instanceof DeploymentSecretDisplaced) return `To give one up: ${abandon}`
  return error.isNeeded ? `If it is lost for good: ${abandon}` : undefined
}

/** The message of an error with the advice for it. */
export function withAdvice(error: KeyturnError): string {
  const advice = adviceFor(error)
  if (advice === undefined) return error.message
  return advice.startsWith('\n') ? `${error.message}${advice}` : `${error.message} ${advice}`
}
