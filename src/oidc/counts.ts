/** Counters of a provider's tokens, refusals, errors and guesses. */
export interface ProviderCounts {
  readonly tokens: Count<'kind'>
  readonly refusals: Count<'error'>
  readonly serverErrors: Count
  readonly guesses: Count<'kind' | 'outcome'>
}

/** A counter. */
export interface Count<Label extends string = never> {
  inc(labels?: Readonly<Record<Label, string>>): void
}
