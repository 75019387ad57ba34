import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'

/** Rules for the words of comments, which neither the formatter nor the linter knows. */

const ROOT = join(import.meta.dirname, '..')

/** Folders with sources. */
const FOLDERS: readonly string[] = ['src', 'lab', 'drill', 'bench', 'fuzz', 'demo']

/** Words that leave the reader to guess what a doc comment is about. */
const PRONOUN =
  /^(What|Who|Whom|Whose|Which|Whoever|Whatever|Where|Wherever|That|This|Those|These|It|Its|They|Their|One|Ones|He|His|Such|Somebody|Nobody)\b/

const WIDTH = 100

const files = await Array.fromAsync(
  glob(
    FOLDERS.map((folder) => `${folder}/**/*.ts`),
    { cwd: ROOT },
  ),
)

/** Doc comments of a text, each with its line and without stars. */
function docComments(text: string): readonly { line: number; words: string }[] {
  return [...text.matchAll(/\/\*\*(?<body>.*?)\*\//gs)].map(({ index, groups }) => ({
    line: text.slice(0, index).split('\n').length,
    words: (groups?.body ?? '').replace(/\n\s*\*/g, ' ').trim(),
  }))
}

function linesOf(select: (text: string) => readonly number[]): readonly string[] {
  return files.flatMap((file) =>
    select(readFileSync(join(ROOT, file), 'utf8')).map((line) => `${file}:${line}`),
  )
}

describe('comments of the source', () => {
  it('are found', () => {
    assert.ok(files.length > 30)
    const text = '/** One. */\n\n/**\n * Of two\n * lines.\n */\n'
    assert.deepEqual(docComments(text), [
      { line: 1, words: 'One.' },
      { line: 3, words: 'Of two  lines.' },
    ])
  })

  it('begin with no pronoun', () => {
    const found = linesOf((text) =>
      docComments(text).flatMap(({ line, words }) => (PRONOUN.test(words) ? line : [])),
    )
    assert.deepEqual(found, [])
  })

  it('stay within the width of the code, which the formatter does not see to', () => {
    const found = linesOf((text) =>
      text
        .split('\n')
        .flatMap((line, at) =>
          line.length > WIDTH && /^\s*(\/?\*|\/\/)/.test(line) ? at + 1 : [],
        ),
    )
    assert.deepEqual(found, [])
  })
})
