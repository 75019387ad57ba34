import type { Child } from './child.ts'
import type { ProfileSummary } from './profile.ts'

/** A line of the table. */
export interface Figure {
  readonly name: string
  /** Description of the comparison or the measurement. */
  readonly note: string
  /** Keyturn's value with unit. */
  readonly keyturn: string
  /** Value of the other side; undefined if the aim is an absolute number. */
  readonly beside?: string
  /** Value that is compared with the aim: a ratio, or a number in the unit of the aim. */
  readonly value: number
  readonly unit: Unit
  /** Aim; undefined for a figure that is only reported. */
  readonly aim?: Aim
  /** Processor time per operation of the other side divided by Keyturn's: steadier than rates. */
  readonly processorRatio?: number
  /** Profiles of where the time goes, if an aim was missed. */
  readonly profiles?: Readonly<Record<string, ProfileSummary>>
}

export type Unit = 'ratio' | 'ms' | 's' | 'MB'

export interface Aim {
  readonly bound: 'least' | 'most'
  readonly value: number
}

export function isMet({ value, aim }: Figure): boolean | undefined {
  if (!aim) return undefined
  return aim.bound === 'least' ? value >= aim.value : value <= aim.value
}

/** Keyturn's stores; SQLite by default. */
export type Stores = 'SQLite' | 'PostgreSQL' | 'Redis'

/** Tools for measuring a figure. */
export interface Bench {
  readonly isQuick: boolean
  /** Starts each server once, at its first use. */
  server(kind: 'keyturn' | 'plain' | 'koa', stores?: Stores): Promise<Child>
  /** Starts Keyturn in a new folder; stopped after the measurement. */
  freshKeyturn(options: { clients: number }): Promise<Child & AsyncDisposable>
  /** A new folder, removed at the end. */
  folder(): string
  say(text: string): void
}

/** Measures one or more figures. */
export type Measure = (bench: Bench) => Promise<readonly Figure[]>
