import { signingAlgorithms } from '../clients/context.ts'
import { unsignedAlgorithm } from '../clients/rules/answers.ts'
import type { Violation } from '../errors.ts'
import type { Settings } from './schema.ts'

/** Resources: each stands once, and has a ring that signs its tokens. */

export function brokenReferences(settings: Settings): readonly Violation[] {
  return [...unsignedResources(settings), ...repeatedResources(settings)]
}

function unsignedResources({ resources, rotation }: Settings): readonly Violation[] {
  const algorithms = signingAlgorithms(rotation)
  return resources.flatMap(({ tokenFormat, algorithm }, index) => {
    if (tokenFormat !== 'jwt') return []
    return unsignedAlgorithm({ path: `resources.${index}.algorithm`, algorithm }, algorithms)
  })
}

function repeatedResources({ resources }: Settings): readonly Violation[] {
  const identifiers = resources.map((resource) => resource.identifier)
  return identifiers.flatMap((value, index) => {
    const first = identifiers.indexOf(value)
    if (first === index) return []
    const path = `resources.${index}.identifier`
    const message = `resources.${first} has the same identifier`
    return [{ path, value, rule: 'repeated', message, fix: `remove or rename resources.${index}` }]
  })
}
