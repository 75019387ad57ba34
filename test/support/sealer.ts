import { createSecretKey, randomBytes } from 'node:crypto'
import { systemClock } from '../../src/clock.ts'
import { serializedKey } from '../../src/conformance/records.ts'
import { deploymentOf } from '../../src/ring/deployment.ts'
import { type EventWithoutId, keyEvent } from '../../src/ring/key.ts'
import type { KeyStore, SerializedEvent } from '../../src/ring/key-store.ts'
import { openSecrets, type Protector } from '../../src/ring/protector.ts'
import { createSealer, type Kek } from '../../src/ring/seal.ts'
import { createDeploymentSealer, type Sealer } from '../../src/ring/sealer.ts'

/** The secret of a deployment that no store keeps. */
export function testDeployment(kid = 'deployment') {
  const record = serializedKey(1, { id: kid, ring: 'deployment' })
  return deploymentOf({ kid, record, former: [], names: {} }, createSecretKey(randomBytes(32)))
}

export function testSealer(
  keks: readonly Kek[] = [{ kid: 'kek', secret: randomBytes(32) }],
  deployment = testDeployment(),
): Sealer {
  return createDeploymentSealer(createSealer(keks), deployment)
}

/** Opens the keys of an issuer in a key store of a test's own, as its server does. */
export async function openSealerOf(
  issuer: string,
  protector: Protector,
  store: KeyStore,
): Promise<Sealer> {
  const { keys, deployment } = await openSecrets(protector, store, systemClock)
  return createDeploymentSealer(keys, deployment.of(issuer))
}

type RevocationWithoutPlace = Omit<Extract<EventWithoutId, { type: 'revoke' }>, 'place'>

/** Records events as an operator's command would, after those that the store has. */
export async function record(
  store: KeyStore,
  sealer: Sealer,
  ...events: readonly (EventWithoutId | RevocationWithoutPlace)[]
): Promise<readonly SerializedEvent[]> {
  let { heads } = await sealer.openEvents((await store.load()).events)
  const records: SerializedEvent[] = []
  for (const event of events) {
    const whole = event.type === 'revoke' && !('place' in event) ? { ...event, place: null } : event
    const sealed = await sealer.sealEvent(keyEvent(whole), heads)
    records.push(sealed)
    heads = [sealed.id]
  }
  await store.addEvents(records)
  return records
}
