import type { Journal } from './journal.ts'

/** Notes a violation of a rule by something, once however often it is seen. */
export type Complain = (rule: string, subject: string, detail: string) => void

export function createComplaints(journal: Journal): Complain {
  const complained = new Set<string>()
  return (rule, subject, detail) => {
    if (complained.has(`${rule} ${subject}`)) return
    complained.add(`${rule} ${subject}`)
    journal.violation(rule, detail)
  }
}
