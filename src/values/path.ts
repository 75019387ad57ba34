import { nameProblem, type TextRule } from './text.ts'

/**
 * Rules for paths. The system takes them as they are: what a shell or a URL parser would replace
 * would be the name of a folder in the working directory, made at the first start and not noticed.
 */

/** Rule for the path of a directory. */
export const pathProblem: TextRule = (text) => {
  const problem = nameProblem(text)
  if (problem) return problem
  if (/^(~|\$[{\w])/.test(text)) {
    return { expected: `a path in full, because no shell reads it; ./${text} for this very name` }
  }
  if (!/^file:/i.test(text)) return undefined
  return { expected: `a path and no URL; ./${text} for this very name` }
}

/** Rule for the path of a file, whose last slash would be left out. */
export const filePathProblem: TextRule = (text) => {
  const problem = pathProblem(text)
  if (problem || !/(^|\/)\.{0,2}$/.test(text)) return problem
  return { expected: 'a path that ends with the name of a file' }
}
