import type { Child } from './child.ts'
import type { ProfileSummary } from './profile.ts'

/** One line of the table. */
export interface Figure {
  readonly name: string
  /** What is compared with what, or how it was measured. */
  readonly note: string
  /** Of Keyturn, with unit. */
  readonly keyturn: string
  /** Of what it is compared with; undefined where the aim is a number of its own. */
  readonly beside?: string
  /** What is held against the aim: a ratio, or a number in the unit of the aim. */
  readonly value: number
  readonly unit: Unit
  /** Undefined for a figure that is only told. */
  readonly aim?: Aim
  /** Processor time per operation of the other side divided by Keyturn's: steadier than rates. */
  readonly processorRatio?: number
  /** Where the time goes, where an aim was missed. */
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

/** Where Keyturn keeps what it keeps; SQLite unless told. */
export type Stores = 'SQLite' | 'PostgreSQL' | 'Redis'

/** What a figure is measured with. */
export interface Bench {
  readonly isQuick: boolean
  /** Starts each server once, when it is first asked for. */
  server(kind: 'keyturn' | 'plain' | 'koa', stores?: Stores): Promise<Child>
  /** Starts Keyturn in a folder of its own; stopped when the figure is done. */
  freshKeyturn(options: { clients: number }): Promise<Child & AsyncDisposable>
  /** A new folder, removed at the end. */
  folder(): string
  say(text: string): void
}

/** Measures one or more figures. */
export type Measure = (bench: Bench) => Promise<readonly Figure[]>
