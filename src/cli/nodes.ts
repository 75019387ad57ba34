import type { Command } from 'commander'
import { toRfc3339 } from '../clock.ts'
import { type NodeReport, reportsFor, surveyNodes } from '../nodes/node.ts'
import { allStates } from '../ring/lifecycle.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import { showRings } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { table } from './table.ts'
import { fromNow, span } from './words.ts'

export function addNodes(nodes: Command, program: Command, context: Context): void {
  nodes
    .command('list')
    .description('list nodes that run, or fell silent in the last day: version, ring, clock')
    .addHelpText(
      'after',
      '\nNodes with the same ring see the same keys in the same phases. A halted node neither signs nor\n' +
        'serves, and says why. A silent node has missed three refresh intervals, because it was killed or\n' +
        'cannot reach the database. If a node serves another issuer than this configuration names, the node\n' +
        'or this command has the wrong database.',
    )
    .option(...JSON_OPTION)
    .action((options: JsonOption) =>
      withSession(program, context, (session) => listNodes(session, options)),
    )
}

async function listNodes(session: Session, { json }: JsonOption): Promise<void> {
  const { config, siblings, policies, stores, now } = session
  const { refreshInterval } = config.rotation
  const reports = reportsFor(siblings, await stores.nodes.list())
  const states = allStates(await showRings(session), policies, now)
  const { issuer } = config
  const nodes = surveyNodes(reports, states, { policies, issuer, refreshInterval, now })

  if (json) {
    const rows = nodes.map(({ report, state, lacks }) => ({
      ...report,
      state,
      startedAt: toRfc3339(report.startedAt),
      seenAt: toRfc3339(report.seenAt),
      lacks: lacks.map((key) => key.kid),
    }))
    return printJson(session, rows)
  }
  if (nodes.length === 0) {
    return session.print('No node runs, and none fell silent in the last day.')
  }
  const rows = nodes.map(({ report: node, state, lacks, hasOtherIssuer }) => [
    node.id,
    state,
    node.version,
    span(now - node.startedAt),
    fromNow(node.seenAt, now),
    `${node.ringHash.slice(0, 8)}, ${span(node.ringAge)} old`,
    clockWords(node),
    node.obstacle ??
      [
        ...lacks.map(({ ring, generation }) => `lacks ${ring} ${generation}`),
        ...(hasOtherIssuer ? [`serves ${node.issuer}`] : []),
      ].join(', '),
  ])
  const head = ['NODE', 'STATE', 'VERSION', 'UP', 'SEEN', 'RING', 'CLOCK', '']
  session.print(table(head, rows, session))
}

function clockWords({ clockOffset }: NodeReport): string {
  if (clockOffset === null) return '-'
  return `${clockOffset < 0 ? '' : '+'}${clockOffset.toFixed(2)} s`
}
