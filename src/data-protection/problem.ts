/** What is wrong with a ring and harms nothing but the key that it concerns. */

export type ProblemCode =
  /** A file that cannot be opened, or a directory named as one. */
  | 'file_unreadable'
  /** A file in no Unicode encoding. */
  | 'text_malformed'
  /** Half-written or damaged. */
  | 'xml_malformed'
  /** Refused: it may hold an XML bomb or name files to be read. */
  | 'xml_doctype'
  | 'xml_too_large'
  /** A byte-order mark where .NET breaks at one. */
  | 'byte_order_mark'
  | 'element_unknown'
  | 'key_id_invalid'
  | 'key_date_invalid'
  /** Read as a date of this machine's time zone; other machines may take it otherwise. */
  | 'key_date_without_zone'
  /** Two elements of one id. With different content, neither is used. */
  | 'key_duplicate'
  | 'descriptor_invalid'
  | 'algorithm_unknown'
  | 'secret_invalid'
  /** Encrypted by something that only another system can undo: DPAPI, a cloud's key vault. */
  | 'encryptor_foreign'
  | 'certificate_missing'
  /** The certificate is there, and what it encrypted is damaged. */
  | 'secret_undecryptable'

export interface RingProblem {
  readonly code: ProblemCode
  /** A file name, or the place in a list or table. */
  readonly source: string
  /** Where the element says whose it is. */
  readonly keyId?: string
  /** What is wrong, and how to mend it; never anything of a secret. */
  readonly message: string
}

/** Behind these may be a key that is not seen. */
const HIDING: readonly ProblemCode[] = [
  ...(['file_unreadable', 'text_malformed', 'xml_malformed', 'xml_doctype'] as const),
  ...(['xml_too_large', 'key_id_invalid', 'key_date_invalid'] as const),
]

/** The applications may open these with what this process does not have. */
const OPENED_BY_OTHERS: readonly ProblemCode[] = ['certificate_missing', 'encryptor_foreign']

export function mayHideKey({ code }: Pick<RingProblem, 'code'>): boolean {
  return HIDING.includes(code)
}

export function mayBeOpenedByOthers({ code }: Pick<RingProblem, 'code'>): boolean {
  return OPENED_BY_OTHERS.includes(code)
}

/** Does ASP.NET Core read nothing of a ring that has this, so that all its applications stand still? */
export function stopsApplications(problem: Pick<RingProblem, 'code'>): boolean {
  const { code } = problem
  return mayHideKey(problem) || code === 'byte_order_mark' || code === 'key_duplicate'
}

/** A problem before its place is known. */
export class KeyProblem extends Error {
  readonly code: ProblemCode

  constructor(code: ProblemCode, message: string) {
    super(message)
    this.code = code
  }
}
