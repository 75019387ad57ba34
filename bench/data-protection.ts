import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomBytes,
  randomUUID,
  timingSafeEqual,
} from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../src/clock.ts'
import { createEncryptor } from '../src/data-protection/encryptor.ts'
import { keyElement, type NewKeyAlgorithms } from '../src/data-protection/key-element.ts'
import { openKeyRing } from '../src/data-protection/open-key-ring.ts'
import { encodePurposes, HEADER_BYTES, payloadHeader } from '../src/data-protection/payload.ts'
import { TICKS_PER_DAY, ticksOf } from '../src/values/ticks.ts'
import type { Bench, Figure } from './figure.ts'
import { median } from './statistics.ts'
import { readUsage } from './usage.ts'

/**
 * Measures payloads of ASP.NET Core Data Protection beside the bare primitives in one thread: a
 * derived key, a cipher and a MAC, without look-ups and checks. Also measures a ring of a thousand
 * keys.
 */

/** Milliseconds. */
const ROUND = { full: 500, quick: 150 }
const ROUNDS = 7
/** Bytes of a payload, about the size of a cookie with a ticket. */
const PLAIN = 400
const KEYS = 1000
const APPLICATION = 'shop'
const PURPOSE = 'Shop.Basket'

const now = () => new Date(systemClock.exact() * 1000)

/** Protects and unprotects. */
interface Side {
  readonly protect: (plain: Buffer) => Buffer
  readonly unprotect: (payload: Buffer) => Buffer
}

export async function dataProtection(bench: Bench): Promise<readonly Figure[]> {
  const cbc: NewKeyAlgorithms = { encryption: 'AES_256_CBC', validation: 'HMACSHA256' }
  const gcm: NewKeyAlgorithms = { encryption: 'AES_256_GCM' }
  return [
    ...(await comparePayloads(bench, cbc)),
    ...(await comparePayloads(bench, gcm)),
    await readRing(bench),
  ]
}

function newElement(algorithms?: NewKeyAlgorithms) {
  const [id, secret] = [randomUUID(), randomBytes(64)]
  const createdAt = ticksOf(now())
  const dates = { createdAt, activatesAt: createdAt, expiresAt: createdAt + 90n * TICKS_PER_DAY }
  const element = keyElement({ id, secret, ...dates, ...(algorithms ? { algorithms } : {}) })
  return { id, secret, element }
}

async function comparePayloads(bench: Bench, algorithms: NewKeyAlgorithms): Promise<Figure[]> {
  const { id, secret, element } = newElement(algorithms)
  await using ring = await openKeyRing({
    elements: [element.line],
    applicationName: APPLICATION,
    now,
  })
  const keyturn: Side = ring.createProtector(PURPOSE)
  const isGcm = algorithms.encryption === 'AES_256_GCM'
  const hand = isGcm ? gcmByHand(id, secret) : cbcByHand(id, secret)
  const plain = randomBytes(PLAIN)
  const payload = hand.protect(plain)
  const isSame =
    keyturn.unprotect(payload).equals(plain) && hand.unprotect(keyturn.protect(plain)).equals(plain)
  if (!isSame) throw new Error('the two sides do not open what the other protected')

  return [
    measure(bench, `protect, ${algorithms.encryption}`, {
      keyturn: () => keyturn.protect(plain),
      hand: () => hand.protect(plain),
    }),
    measure(bench, `unprotect, ${algorithms.encryption}`, {
      keyturn: () => keyturn.unprotect(payload),
      hand: () => hand.unprotect(payload),
    }),
  ]
}

function measure(
  bench: Bench,
  name: string,
  sides: { readonly keyturn: () => Buffer; readonly hand: () => Buffer },
): Figure {
  bench.say(`${name} ...`)
  const duration = ROUND[bench.isQuick ? 'quick' : 'full']
  rateOf(sides.keyturn, duration)
  rateOf(sides.hand, duration)
  const pairs = Array.from({ length: ROUNDS }, (_, round) => {
    const hand = round % 2 === 0 ? rateOf(sides.hand, duration) : undefined
    const keyturn = rateOf(sides.keyturn, duration)
    return { keyturn, hand: hand ?? rateOf(sides.hand, duration) }
  })
  return {
    name,
    note: `${PLAIN} bytes, beside node:crypto by hand`,
    keyturn: `${median(pairs.map((pair) => pair.keyturn)).toFixed(0)}/s`,
    beside: `${median(pairs.map((pair) => pair.hand)).toFixed(0)}/s`,
    value: median(pairs.map((pair) => pair.keyturn / pair.hand)),
    unit: 'ratio',
    aim: { bound: 'least', value: 0.8 },
  }
}

/** @returns calls per second of this thread, whatever else the machine does */
function rateOf(act: () => Buffer, duration: number): number {
  const startedAt = readUsage().main
  let count = 0
  let used = 0
  while (used < duration) {
    for (let i = 0; i < 50; i++) act()
    count += 50
    used = readUsage().main - startedAt
  }
  return (count / used) * 1000
}

async function readRing(bench: Bench): Promise<Figure> {
  bench.say('a ring of 1,000 keys ...')
  const directory = bench.folder()
  for (let i = 0; i < KEYS; i++) {
    const { element } = newElement()
    await writeFile(join(directory, `${element.name}.xml`), `\ufeff${element.indented}`)
  }
  const startedAt = performance.now()
  await using ring = await openKeyRing({ directory, now })
  const isWhole = ring.problems.length === 0 && ring.keys.length === KEYS
  if (!isWhole) throw new Error('the ring was not read as it was written')
  const seconds = (performance.now() - startedAt) / 1000
  return {
    name: `ring of ${KEYS} keys`,
    note: 'read from a directory, each secret opened',
    keyturn: `${seconds.toFixed(2)} s`,
    value: seconds,
    unit: 's',
    aim: { bound: 'most', value: 5 },
  }
}

const MODIFIER = 16
const MODIFIED = HEADER_BYTES + MODIFIER

/** Derives a key by SP 800-108 from a prepared buffer. */
function derivation(id: string, { secret, bytes }: { secret: Buffer; bytes: number }) {
  const algorithms =
    bytes === 32
      ? ({ mode: 'gcm', keyBytes: 32 } as const)
      : ({ mode: 'cbc', keyBytes: 32, hash: 'sha256' } as const)
  const header = payloadHeader(id)
  const { contextHeader } = createEncryptor(secret, algorithms)
  const purposes = encodePurposes([APPLICATION, PURPOSE])
  const before = Buffer.concat([
    Buffer.of(0, 0, 0, 1),
    header,
    purposes,
    Buffer.of(0),
    contextHeader,
  ])
  const after = Buffer.of(0, 0, (bytes * 8) >> 8, (bytes * 8) & 0xff)
  const key = createSecretKey(secret)
  const derive = (modifier: Buffer) =>
    createHmac('sha512', key).update(before).update(modifier).update(after).digest()
  return { header, derive }
}

function cbcByHand(id: string, secret: Buffer): Side {
  const { header, derive } = derivation(id, { secret, bytes: 64 })
  return {
    protect: (plain) => {
      const random = randomBytes(MODIFIER + 16)
      const iv = random.subarray(MODIFIER)
      const keys = derive(random.subarray(0, MODIFIER))
      const cipher = createCipheriv('aes-256-cbc', keys.subarray(0, 32), iv)
      const content = Buffer.concat([cipher.update(plain), cipher.final()])
      const mac = createHmac('sha256', keys.subarray(32)).update(iv).update(content).digest()
      return Buffer.concat([header, random, content, mac])
    },
    unprotect: (payload) => {
      const keys = derive(payload.subarray(HEADER_BYTES, MODIFIED))
      const sealed = payload.subarray(MODIFIED, -32)
      const mac = createHmac('sha256', keys.subarray(32)).update(sealed).digest()
      if (!timingSafeEqual(mac, payload.subarray(-32))) throw new Error('changed')
      const iv = sealed.subarray(0, 16)
      const decipher = createDecipheriv('aes-256-cbc', keys.subarray(0, 32), iv)
      return Buffer.concat([decipher.update(sealed.subarray(16)), decipher.final()])
    },
  }
}

function gcmByHand(id: string, secret: Buffer): Side {
  const { header, derive } = derivation(id, { secret, bytes: 32 })
  return {
    protect: (plain) => {
      const random = randomBytes(MODIFIER + 12)
      const key = derive(random.subarray(0, MODIFIER)).subarray(0, 32)
      const cipher = createCipheriv('aes-256-gcm', key, random.subarray(MODIFIER))
      const content = Buffer.concat([cipher.update(plain), cipher.final()])
      return Buffer.concat([header, random, content, cipher.getAuthTag()])
    },
    unprotect: (payload) => {
      const key = derive(payload.subarray(HEADER_BYTES, MODIFIED)).subarray(0, 32)
      const nonce = payload.subarray(MODIFIED, MODIFIED + 12)
      const decipher = createDecipheriv('aes-256-gcm', key, nonce)
      decipher.setAuthTag(payload.subarray(-16))
      return Buffer.concat([
        decipher.update(payload.subarray(MODIFIED + 12, -16)),
        decipher.final(),
      ])
    },
  }
}
