/** What is counted of a provider, whoever counts it. */
export interface ProviderCounts {
  readonly tokens: Count<'kind'>
  readonly refusals: Count<'error'>
  readonly serverErrors: Count
  readonly guesses: Count<'kind' | 'outcome'>
}

/** Something that is counted. */
export interface Count<Label extends string = never> {
  inc(labels?: Readonly<Record<Label, string>>): void
}
