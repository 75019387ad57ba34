import { LineCounter, type ParsedNode, parseDocument, type YAMLError } from 'yaml'

/**
 * Reads YAML, with all problems at once. Problems quote nothing of the text, because it may hold
 * secrets.
 */

export interface YamlText {
  /** Undefined if there are problems. */
  readonly value: unknown
  readonly problems: readonly YamlProblem[]
  readonly contents: ParsedNode | null
  /** Line of an offset, from 1. */
  lineAt(offset: number): number
}

export interface YamlProblem {
  /** Line and column, such as `line 3, column 7`. */
  readonly place: string
  readonly detail: string
}

export function readYaml(text: string): YamlText {
  const lineCounter = new LineCounter()
  // Pretty errors quote the text, which may hold secrets.
  const doc = parseDocument(text, { lineCounter, prettyErrors: false, stringKeys: true })
  const placeOf = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset)
    return `line ${line}, column ${col}`
  }
  const base = {
    contents: doc.contents,
    lineAt: (offset: number) => lineCounter.linePos(offset).line,
  }
  // A warning is a tag or a directive for the reader, but no code here reads them.
  const problems = [...doc.errors, ...doc.warnings].map((problem) => ({
    place: placeOf(problem.pos[0]),
    detail: withoutQuotes(problem),
  }))
  if (problems.length > 0) return { ...base, value: undefined, problems }
  try {
    const value: unknown = doc.toJS()
    // Throws if an alias stands within what it names, which has no end.
    JSON.stringify(value)
    return { ...base, value, problems }
  } catch {
    const problem = { place: placeOf(0), detail: 'an alias (*name) cannot be resolved' }
    return { ...base, value: undefined, problems: [problem] }
  }
}

function withoutQuotes({ message }: YAMLError): string {
  const [first = ''] = message.split('\n')
  return first.replace(/:? *["'`].*$/, '').replace(/^./, (letter) => letter.toLowerCase())
}
