import { siblingsOf } from '../config/choose-issuer.ts'
import { createHeartbeat, type Heartbeat } from '../nodes/heartbeat.ts'
import { countNodes } from '../nodes/node.ts'
import { createRings } from '../ring/rings.ts'
import { createScheduler, type Scheduler } from '../ring/scheduler.ts'
import type { RingView } from '../ring/view.ts'
import { createWitnessWatch, type WitnessWatch } from '../witness/witness-watch.ts'
import type { IssuerScope } from './issuer-scope.ts'
import { type Checks, nodesCheck, ringCheck, witnessCheck, writesCheck } from './readiness.ts'

/** The rings of an issuer: scheduler, witness and heartbeat. */
export interface IssuerRing {
  readonly scheduler: Scheduler
  readonly heartbeat: Heartbeat
  readonly checks: Checks
  /** Sets the listener for new views; called before the first turn. */
  show(listener: ViewListener): void
  /** Starts turning, also when other nodes announce a change. */
  start(): void
}

type ViewListener = (view: RingView) => Promise<void>

export async function openIssuerRing(scope: IssuerScope): Promise<IssuerRing> {
  const { process, config, stores, policies, log } = scope
  const { clock, databaseClock } = process
  const { refreshInterval, maxRingAge, clockSkew } = config.rotation
  const sealer = await stores.openSealer()

  const heartbeat = createHeartbeat({
    store: stores.nodes,
    databaseClock,
    policies,
    refreshInterval,
    maxRingAge,
    node: { ...process.node, issuer: config.issuer },
    siblings: siblingsOf(config.issuer, process.config),
    log,
  })
  const witness = watchWitness(scope)
  let onView: ViewListener = async () => {}
  const scheduler = createScheduler({
    rings: createRings({ store: stores.keys, sealer }),
    policies,
    clock,
    databaseClock,
    refreshInterval,
    maxRingAge,
    clockSkew,
    log,
    witness,
    afterTurn: () => heartbeat.beat(scheduler.status),
    onView: (view) => onView(view),
  })
  const states = () => countNodes(heartbeat.nodes, refreshInterval, databaseClock.now())
  scope.metrics.observe({
    ring: scheduler.status,
    nodes: states,
    unseenKeys: () => heartbeat.unseen.length,
    mayWrite: () => heartbeat.failure === undefined,
  })
  return {
    scheduler,
    heartbeat,
    checks: {
      ring: () => ringCheck(scheduler),
      nodes: () => nodesCheck(heartbeat, states()),
      writes: () => writesCheck(heartbeat, { refreshInterval, now: databaseClock.now() }),
      ...(witness ? { witness: () => witnessCheck(witness.status) } : {}),
    },
    show: (listener) => {
      onView = listener
    },
    start: () => {
      scheduler.start()
      stores.messages.subscribe('ring', scheduler.wake)
    },
  }
}

/**
 * Refresh intervals that a start waits for other nodes to restore the store: one until each node
 * has loaded it, and half of one for nodes that had to reconnect. With the default of 30 s that is
 * less than the minute that the probes of deploy/kubernetes allow for a start.
 */
const RESTORE_WAIT = 1.5

/** @returns undefined if the configuration names no witness */
function watchWitness(scope: IssuerScope): WitnessWatch | undefined {
  const { process, config, stores, policies, log } = scope
  if (!stores.witness) return undefined
  return createWitnessWatch({
    witness: stores.witness,
    mayBegin: true,
    issuer: config.issuer,
    policies,
    clock: process.clock,
    addEvents: (events) => stores.keys.addEvents(events),
    wakeOthers: () => stores.messages.publish('ring'),
    patience: process.isShared ? RESTORE_WAIT * config.rotation.refreshInterval : 0,
    log,
  })
}
