/** Answers that Keyturn signs for a client, by the property that names the algorithm. */
export const SIGNED_ANSWERS = {
  id_token_signed_response_alg: 'ID tokens',
  userinfo_signed_response_alg: 'userinfo',
  introspection_signed_response_alg: 'answers to introspection',
  authorization_signed_response_alg: 'authorization responses',
} as const

export type SignedAnswer = keyof typeof SIGNED_ANSWERS

/** An algorithm that a client asks for. */
export interface WantedAlgorithm {
  readonly answer: SignedAnswer
  readonly algorithm: string
  readonly client: string
}

/** Answers for which no ring is needed if the client names no algorithm. */
export const OPTIONAL_ANSWERS = (Object.keys(SIGNED_ANSWERS) as SignedAnswer[]).filter(
  (answer) => answer !== 'id_token_signed_response_alg',
)
