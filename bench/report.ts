import Table from 'cli-table3'
import { type Figure, isMet, type Unit } from './figure.ts'
import type { ProfileSummary, TimeShare } from './profile.ts'

/** Renders the table for people, with profiles below it for missed aims. */
export function renderTable(figures: readonly Figure[]): string {
  const table = new Table({
    head: ['', 'Keyturn', 'beside', 'ratio', 'cpu ratio', 'aim', ''],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  })
  for (const figure of figures) {
    const { name, note, keyturn, beside = '', value, unit, processorRatio } = figure
    table.push([
      `${name}\n  ${note}`,
      keyturn,
      beside,
      unit === 'ratio' ? value.toFixed(2) : '',
      processorRatio?.toFixed(2) ?? '',
      aimText(figure),
      verdict(figure),
    ])
  }
  const missed = figures.filter((figure) => isMet(figure) === false)
  return [
    table.toString(),
    ...missed.map(renderProfiles),
    missed.length === 0 ? 'Every aim is met.' : `${missed.length} missed.`,
  ].join('\n')
}

/** Renders the figures as JSON for programs. */
export function toJson(figures: readonly Figure[]): string {
  return JSON.stringify(
    figures.map((figure) => ({ ...figure, met: isMet(figure) ?? null })),
    null,
    2,
  )
}

const UNITS: Readonly<Record<Unit, string>> = { ratio: '', ms: ' ms', s: ' s', MB: ' MB' }

function aimText({ aim, unit }: Figure): string {
  if (!aim) return ''
  const value = unit === 'ratio' ? aim.value.toFixed(1) : String(aim.value)
  return `${aim.bound === 'least' ? '>=' : '<='} ${value}${UNITS[unit]}`
}

function verdict(figure: Figure): string {
  const met = isMet(figure)
  if (met === undefined) return ''
  return met ? 'met' : 'MISSED'
}

function renderProfiles({ name, profiles = {} }: Figure): string {
  const sides = Object.entries(profiles)
  if (sides.length === 0) return `${name}: missed`
  return [
    `${name}: missed. Where the time goes (share of the busy time of the main thread):`,
    ...sides.map(([side, summary]) => renderProfile(side, summary)),
    '',
  ].join('\n')
}

function renderProfile(side: string, { parts, functions }: ProfileSummary): string {
  return [
    `  ${side}, by part: ${parts.slice(0, 8).map(inOneLine).join(', ')}`,
    ...functions.slice(0, 12).map((entry) => `    ${inOneLine(entry)}`),
  ].join('\n')
}

function inOneLine({ name, share }: TimeShare): string {
  return `${(share * 100).toFixed(1)} % ${name}`
}
