import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the pages of docs/migrate tell an operator to run and to configure. */

const FOLDER = join(import.meta.dirname, '../../docs/migrate')

export function pageNames(): readonly string[] {
  return readdirSync(FOLDER).toSorted()
}

export function textOf(page: string): string {
  return readFileSync(join(FOLDER, page), 'utf8')
}

/** Fenced blocks, headings of sections and rows of tables. */
const PARTS =
  /^ *```(?<language>\w*)\n(?<block>.*?)^ *```$|^## (?<heading>[^\n]+)$|^(?<row>\|[^\n]+)$/gms

function partsOf(page: string) {
  return [...textOf(page).matchAll(PARTS)].map(({ groups = {} }) => groups)
}

/** The lines of a page's `sh` blocks, and the commands of Keyturn in its tables, in its order. */
export function commandsOf(page: string): readonly { section: string; command: string }[] {
  let section = ''
  return partsOf(page).flatMap(({ language, block = '', heading, row = '' }) => {
    section = heading ?? section
    const lines =
      language === 'sh'
        ? block.replace(/\\\n\s*/g, '').split('\n')
        : [...row.matchAll(/`(keyturn [^`]+)`/g)].map(([, command = '']) => command)
    return lines
      .map((line) => ({ section, command: line.replace(/(^|\s+)#\s.*$/, '').trim() }))
      .filter(({ command }) => command !== '')
  })
}

/** The configurations of a page: the first line of a block may name its file. */
export function settingsOf(page: string): readonly { file: string; text: string }[] {
  return partsOf(page).flatMap(({ language, block = '' }) => {
    if (language !== 'yaml') return []
    const indent = /^ */.exec(block)?.[0] ?? ''
    const text = block.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
    return { file: /^# (\S+\.yaml)\n/.exec(text)?.[1] ?? 'keyturn.yaml', text }
  })
}
