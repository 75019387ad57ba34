import type { Logger } from 'pino'
import { rotationPolicies } from '../config/policies.ts'
import type { IssuerConfig } from '../config/schema.ts'
import { USED_TWICE } from '../oidc/events.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { CAUSED_BY_CLIENTS, createSeldomLog, type Log } from '../seldom-log.ts'
import type { IssuerMetrics } from './issuer-metrics.ts'
import type { KeyturnProcess } from './process.ts'
import type { IssuerStores } from './stores.ts'

/** Values that all parts of an issuer share. */
export interface IssuerScope {
  readonly process: KeyturnProcess
  readonly config: IssuerConfig
  readonly stores: IssuerStores
  readonly policies: RotationPolicies
  readonly metrics: IssuerMetrics
  readonly log: Logger
  /** Log for lines that anybody on the network can cause, limited per kind. */
  readonly ofRequests: Log
}

export function issuerScope(process: KeyturnProcess, config: IssuerConfig): IssuerScope {
  const { clock, metrics } = process
  const log = process.hasSeveral ? process.log.child({ issuer: config.issuer }) : process.log
  return {
    process,
    config,
    stores: process.stores.of(config.issuer),
    policies: rotationPolicies(config),
    metrics: metrics.ofIssuer(config.issuer),
    log,
    ofRequests: createSeldomLog(log, clock, { ...CAUSED_BY_CLIENTS, except: FACTS }),
  }
}

/** Messages about authenticated people, which are never dropped. */
const FACTS = [
  ...['signed in', 'signed in with a one-time password', 'password changed'],
  ...['consent given', 'a grant was revoked', USED_TWICE],
]
