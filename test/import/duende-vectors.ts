import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { JWK } from 'jose'
import { VECTORS, vector, vectorJson } from '../../lab/vectors.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import type { NamedFile } from '../../src/import/duende.ts'

/** Key stores of Duende IdentityServer, as the README beside them says how each is read. */

export interface DuendeVectorKey {
  kid: string
  alg: string
  created: string
  storedCreated: string
  x509: boolean
  public: JWK
  /** Absent for keys that never signed anything, or left the JWKS. */
  thumbprint?: string
  jws?: string
  published: boolean
  signs: boolean
  state: 'active' | 'announced' | 'overtaken' | 'retired-published' | 'retired-gone'
  leavesJwks: string | null
}

interface Place {
  name: string
  from: string
}

export interface DuendeVector {
  name: string
  kind: string
  file: string
  now: string
  expect: 'read' | 'refuse' | 'either'
  ring?: string | Place[]
  applicationName?: string
  options?: {
    PropagationTime: number
    RotationInterval: number
    RetentionDuration: number
    SigningAlgorithms: { Name: string; UseX509Certificate: boolean }[]
  }
  keys: DuendeVectorKey[]
  measured: { nextSwitch: Record<string, { at: string; from: string; to: string }> }
  store: Place[]
  faulty: string[]
  goodKeys: string[]
  alsoAs?: Record<string, string>
  derived?: Record<string, string>
}

const { entries } = vectorJson<{ entries: DuendeVector[] }>('duende', 'manifest.json')
const rings = entries.filter(({ kind }) => kind === 'file store')
/** The file store in its states of life. */
export const lives = rings.filter(({ name }) => !name.startsWith('faults/'))
/** The file store with one bad record among good ones. */
export const faults = rings.filter(({ name }) => name.startsWith('faults/'))
export const tables = entries.filter(({ kind }) => /table|storage/.test(kind))

export const seconds = (text: string) => Math.floor(Date.parse(text) / 1000)

/** What the reader is told: the options in force, and what opens sealed records. */
export async function optionsOf({ ring, applicationName, now, options }: DuendeVector) {
  const unprotect = ring === undefined ? undefined : await unprotector(ring, applicationName, now)
  return {
    now: seconds(now),
    ...(unprotect && { unprotect }),
    ...(options && {
      propagation: options.PropagationTime,
      rotation: options.RotationInterval,
      retention: options.RetentionDuration,
      algorithms: options.SigningAlgorithms.map(({ Name, UseX509Certificate }) => ({
        name: Name,
        useX509Certificate: UseX509Certificate,
      })),
    }),
  }
}

async function unprotector(ring: string | Place[], applicationName = '', now: string) {
  const source =
    typeof ring === 'string'
      ? { directory: join(VECTORS, 'duende', ring) }
      : {
          elements: ring
            .filter(({ name }) => name.endsWith('.xml'))
            .map(({ name, from }) => ({ source: name, text: vector('duende', from).toString() })),
        }
  const opened = await openKeyRing({ ...source, applicationName, now: () => new Date(now) })
  const protector = opened.createProtector('DataProtectionKeyProtector')
  return (payload: Uint8Array) => protector.unprotect(payload)
}

export function filesOf(entry: DuendeVector): NamedFile[] {
  if (entry.store) {
    return entry.store.map(({ name, from }) => ({ name, bytes: vector('duende', from) }))
  }
  return readdirSync(join(VECTORS, 'duende', entry.file)).map((name) => ({
    name,
    bytes: vector('duende', entry.file, name),
  }))
}
