/** Kinds of problems of a ring, each of which affects only the key that it concerns. */

export type ProblemCode =
  /** A file cannot be opened, or a directory has the name of a file. */
  | 'file_unreadable'
  /** A file is in no Unicode encoding. */
  | 'text_malformed'
  /** An element is half-written or damaged. */
  | 'xml_malformed'
  /** A document type is refused, because it may hold an XML bomb or name files to read. */
  | 'xml_doctype'
  | 'xml_too_large'
  /** A byte-order mark at which .NET fails. */
  | 'byte_order_mark'
  | 'element_unknown'
  | 'key_id_invalid'
  | 'key_date_invalid'
  /**
   * A date has no time zone and is read in that of this machine; other machines may read it
   * differently.
   */
  | 'key_date_without_zone'
  /** Two elements have the same id. If their content differs, neither is used. */
  | 'key_duplicate'
  | 'descriptor_invalid'
  | 'algorithm_unknown'
  | 'secret_invalid'
  /** A secret is encrypted by a system that alone can decrypt it: DPAPI, or a cloud's key vault. */
  | 'encryptor_foreign'
  | 'certificate_missing'
  /** The certificate is present, but the secret encrypted for it is damaged. */
  | 'secret_undecryptable'

export interface RingProblem {
  readonly code: ProblemCode
  /** File name, or place in a list or table. */
  readonly source: string
  /** Id of the key with the problem, if the element has a readable id. */
  readonly keyId?: string
  /** Description of the problem and its remedy, without any secret. */
  readonly message: string
}

/** Problems behind which there may be an unseen key. */
const HIDING: readonly ProblemCode[] = [
  ...(['file_unreadable', 'text_malformed', 'xml_malformed', 'xml_doctype'] as const),
  ...(['xml_too_large', 'key_id_invalid', 'key_date_invalid'] as const),
]

/** Problems with keys that the applications may be able to open, although this process is not. */
const OPENED_BY_OTHERS: readonly ProblemCode[] = ['certificate_missing', 'encryptor_foreign']

export function mayHideKey({ code }: Pick<RingProblem, 'code'>): boolean {
  return HIDING.includes(code)
}

export function mayBeOpenedByOthers({ code }: Pick<RingProblem, 'code'>): boolean {
  return OPENED_BY_OTHERS.includes(code)
}

/**
 * True if ASP.NET Core reads nothing of a ring with this problem, so that no application can go on.
 */
export function stopsApplications(problem: Pick<RingProblem, 'code'>): boolean {
  const { code } = problem
  return mayHideKey(problem) || code === 'byte_order_mark' || code === 'key_duplicate'
}

/** A problem whose place is not known yet. */
export class KeyProblem extends Error {
  readonly code: ProblemCode

  constructor(code: ProblemCode, message: string) {
    super(message)
    this.code = code
  }
}
