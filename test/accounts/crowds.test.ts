import assert from 'node:assert/strict'
import { before, describe, it, type TestContext } from 'node:test'
import type { Account, AccountStore } from '../../src/accounts/account-store.ts'
import { type AttemptLimits, DEFAULT_ATTEMPT_LIMITS } from '../../src/accounts/attempts.ts'
import type { SharedCounts } from '../../src/accounts/counters.ts'
import { type Memory, remember } from '../../src/accounts/known-browser.ts'
import { createPasswords } from '../../src/accounts/password.ts'
import { createSignIn, type SignIn } from '../../src/accounts/sign-in.ts'
import { systemClock } from '../../src/clock.ts'
import { openRedis } from '../../src/redis/connection.ts'
import { createAccount, createMemoryAccounts } from '../support/memory-accounts.ts'
import { redisPlaces, redisSettings, skipRedis } from '../support/redis.ts'

/** Many simultaneous guesses or guesses from many addresses, and sign-ins of the owner meanwhile. */

const RIGHT = 'correct horse battery staple'
const HOME = '198.51.100.7'
const password = createPasswords({ memoryKiB: 64, passes: 1, parallelism: 1 })
const clock = { now: () => 1_770_000_000 }

let accounts: AccountStore
let ada: Account
before(async () => {
  accounts = createMemoryAccounts().accounts
  ada = createAccount({ username: 'ada', passwordHash: await password.hash(RIGHT) })
  await accounts.add(ada)
})

interface Options {
  readonly limits?: Partial<AttemptLimits>
  readonly redis?: SharedCounts | undefined
}
const open = ({ limits = {}, redis }: Options = {}): SignIn =>
  createSignIn({
    accounts,
    password,
    limits: { ...DEFAULT_ATTEMPT_LIMITS, ...limits },
    redis,
    clock,
  })

const own = (signIn: SignIn, memories: readonly Memory[] = [], address = HOME) =>
  signIn.signIn({ username: 'ada', password: RIGHT, address, memories })

async function outcomesOf(answers: Iterable<ReturnType<SignIn['signIn']>>) {
  return (await Promise.all(answers)).map(({ outcome }) => outcome)
}

/** Networks of one guesser, each with a function from a number to an address in it. */
const NETWORKS: Readonly<Record<string, (number: number) => string>> = {
  'one IPv6 /48': (number) => `2001:db8:1:${(number * 256).toString(16)}::1`,
  'one IPv6 /56': (number) => `2001:db8:1:ab${(number + 16).toString(16)}::1`,
  'one IPv4 /24': (number) => `203.0.113.${number + 1}`,
  'one IPv4 /24, mapped into IPv6': (number) => `::ffff:203.0.113.${number + 1}`,
}

function testCrowds(redisOf: (t: TestContext) => Promise<SharedCounts | undefined>) {
  for (const [network, address] of Object.entries(NETWORKS)) {
    it(`of 105 wrong passwords from 21 addresses of ${network} do not lock the owner out`, async (t) => {
      const signIn = open({ redis: await redisOf(t) })
      const guesses: string[] = []
      for (let number = 0; number < 21; number += 1) {
        for (let count = 0; count < 5; count += 1) {
          const guess = { username: 'ada', password: `${count}`, address: address(number) }
          guesses.push((await signIn.signIn(guess)).outcome)
        }
      }
      const most = network.includes('/56') ? 10 : 20
      assert.equal(guesses.filter((outcome) => outcome === 'refused').length, most)
      assert.equal((await own(signIn)).outcome, 'signed-in')
    })
  }

  it('of wrong passwords from everywhere lock the account, but not a browser that signed in before', async (t) => {
    const signIn = open({ redis: await redisOf(t) })
    const memories = remember([], ada, clock.now())
    const stranger = remember([], { ...ada, id: 'somebody else' }, clock.now())
    for (let network = 0; network < 101; network += 1) {
      await signIn.signIn({ username: 'ada', password: 'x', address: `192.${network}.2.1` })
    }
    assert.equal((await own(signIn)).outcome, 'limited')
    assert.equal((await own(signIn, stranger)).outcome, 'limited')
    assert.equal((await own(signIn, memories)).outcome, 'signed-in')
    assert.equal((await own(signIn, memories, '192.1.2.1')).outcome, 'signed-in')
  })

  it('of guesses from a known browser reach its own limit, which also refuses the right password', async (t) => {
    const signIn = open({ redis: await redisOf(t), limits: { perKnownBrowser: 3 } })
    const memories = remember([], ada, clock.now())
    const guess = { username: 'ada', password: 'x', memories }
    const outcomes = []
    for (let count = 0; count < 4; count += 1) {
      outcomes.push((await signIn.signIn({ ...guess, address: `192.${count}.2.1` })).outcome)
    }
    assert.deepEqual(outcomes, ['refused', 'refused', 'refused', 'limited'])
    assert.equal((await own(signIn, memories)).outcome, 'limited')
    assert.equal((await own(signIn)).outcome, 'signed-in', 'its limit is nobody else’s')
    const another = remember([], ada, clock.now())
    assert.equal((await own(signIn, another)).outcome, 'signed-in')
  })
}

describe('crowds, counted in memory,', () => {
  testCrowds(async () => undefined)

  it('with a browser known to another account are counted as from an unknown browser', async () => {
    const signIn = open()
    const memories = remember([], { ...ada, id: 'eve' }, clock.now())
    const guess = { username: 'ada', password: 'x', address: '203.0.113.1', memories }
    const outcomes = []
    for (let count = 0; count < 6; count += 1) outcomes.push((await signIn.signIn(guess)).outcome)
    assert.deepEqual(outcomes, [...Array(5).fill('refused'), 'limited'])
  })

  it('do not lock out a browser whose session is asked for the password again', async () => {
    const signIn = open({ limits: { perAccountAndAddress: 1, perKnownBrowser: 2 } })
    await signIn.signIn({ username: 'ada', password: 'x', address: HOME })
    assert.equal((await own(signIn)).outcome, 'limited')
    const attempt = { username: 'ada', password: RIGHT, address: HOME }
    const session = { accountId: ada.id, uid: 'one' }
    assert.equal((await signIn.signIn({ ...attempt, session })).outcome, 'signed-in')
    const somebody = { accountId: 'somebody else', uid: 'two' }
    assert.equal((await signIn.signIn({ ...attempt, session: somebody })).outcome, 'limited')
    const guess = { ...attempt, password: 'x', session }
    for (let count = 0; count < 2; count += 1) await signIn.signIn(guess)
    assert.equal((await signIn.signIn({ ...attempt, session })).outcome, 'limited')
  })

  it('cost a known browser one look-up for existing and for unknown names', async () => {
    const asked: string[] = []
    const counting: AccountStore = {
      ...accounts,
      findByUsername: (name) => {
        asked.push(name)
        return accounts.findByUsername(name)
      },
    }
    const signIn = createSignIn({ accounts: counting, password, limits: {}, clock })
    const memories = remember([], { ...ada, id: 'eve' }, clock.now())
    for (const username of ['ada', 'nobody']) {
      await signIn.signIn({ username, password: 'x', address: HOME, memories })
    }
    assert.deepEqual(asked, ['ada', 'nobody'])
  })

  it('of guesses lock out a known browser after a change of the password', async () => {
    const signIn = open({ limits: { perAccountAndAddress: 1 } })
    const before = { ...ada, passwordHash: await password.hash('the one before') }
    const memories = remember([], before, clock.now())
    await signIn.signIn({ username: 'ada', password: 'x', address: HOME })
    assert.equal((await own(signIn, memories)).outcome, 'limited')
  })
})

describe('crowds, counted in Redis,', { skip: skipRedis }, () => {
  const { places } = redisPlaces()
  const openNode = async (t: TestContext, settings = redisSettings(places.Redis())) => {
    const redis = openRedis(settings, systemClock)
    t.after(redis.close)
    await redis.run('connect', async () => redis.client.ping())
    return redis
  }
  testCrowds(openNode)

  it('reach the same limits at every node', async (t) => {
    const settings = redisSettings(places.Redis())
    const nodes = [
      open({ redis: await openNode(t, settings) }),
      open({ redis: await openNode(t, settings) }),
    ]
    const guesses = Array.from({ length: 60 }, (_, number) => {
      const address = `2001:db8:7:${number.toString(16)}00::1`
      return (nodes[number % 2] as SignIn).signIn({ username: 'ada', password: 'x', address })
    })
    const outcomes = await outcomesOf(guesses)
    assert.equal(outcomes.filter((outcome) => outcome !== 'limited').length, 20)
    for (const node of nodes) assert.equal((await own(node)).outcome, 'signed-in')
  })
})

describe('a crowd of simultaneous attempts', () => {
  const unlimited = {
    perAddress: 1_000_000,
    perAccountAndAddress: 1_000_000,
    perAccount: 1_000_000,
  }

  for (const [network, address] of Object.entries(NETWORKS)) {
    it(`from ${network} does not delay the right password from elsewhere until it is refused`, async () => {
      const signIn = open({ limits: unlimited })
      const crowd: ReturnType<SignIn['signIn']>[] = []
      const owners: string[] = []
      for (let round = 0; round < 20; round += 1) {
        for (let number = 0; number < 48; number += 1) {
          const username = `name ${round} ${number}`
          crowd.push(signIn.signIn({ username, password: 'x', address: address(number) }))
        }
        owners.push((await own(signIn)).outcome)
      }
      assert.deepEqual(owners, Array(20).fill('signed-in'))
      const turnedAway = (await outcomesOf(crowd)).filter((outcome) => outcome === 'limited')
      assert.ok(turnedAway.length > 0, 'there was no crowd')
    })
  }

  it('from everywhere does not make a browser that signed in before be refused', async () => {
    const signIn = open({ limits: unlimited })
    const memories = remember([], ada, clock.now())
    const crowd: ReturnType<SignIn['signIn']>[] = []
    const owners: string[] = []
    for (let round = 0; round < 20; round += 1) {
      for (let number = 0; number < 48; number += 1) {
        const address = `192.${number}.${round}.1`
        crowd.push(signIn.signIn({ username: `name ${number}`, password: 'x', address }))
      }
      owners.push((await own(signIn, memories)).outcome)
    }
    assert.deepEqual(owners, Array(20).fill('signed-in'))
    await Promise.all(crowd)
  })

  it('ends, because attempts that were refused as busy count against its networks', async () => {
    const signIn = open()
    const causes: string[] = []
    for (let round = 0; round < 8; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 48 }, (_, number) =>
          signIn.signIn({
            username: `name ${round} ${number}`,
            password: 'x',
            address: `2001:db8:1:${number.toString(16)}00::${round}`,
          }),
        ),
      )
      for (const answer of answers)
        causes.push(answer.outcome === 'limited' ? answer.cause : answer.outcome)
    }
    assert.ok(causes.includes('busy'), 'there was no crowd')
    assert.equal(causes.filter((cause) => cause !== 'attempts').length, 200)
    assert.equal((await own(signIn)).outcome, 'signed-in')
  })

  it('does not count attempts that were refused as busy against an account', async () => {
    const signIn = open()
    const address = (number: number) => `192.0.${number}.1`
    for (let round = 0; round < 3; round += 1) {
      const answers = Array.from({ length: 48 }, (_, number) =>
        signIn.signIn({ username: 'ada', password: 'x', address: address(round * 48 + number) }),
      )
      const outcomes = await outcomesOf(answers)
      assert.equal(outcomes.filter((outcome) => outcome === 'refused').length, 32)
    }
  })
})
