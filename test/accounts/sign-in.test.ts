import assert from 'node:assert/strict'
import { beforeEach, describe, it, mock } from 'node:test'
import { type Account, type AccountStore, nextChange } from '../../src/accounts/account-store.ts'
import { type AttemptLimits, DEFAULT_ATTEMPT_LIMITS } from '../../src/accounts/attempts.ts'
import { createGate } from '../../src/accounts/gate.ts'
import { remember } from '../../src/accounts/known-browser.ts'
import { createPasswords, type Passwords } from '../../src/accounts/password.ts'
import { createSignIn, type SignIn, type SignInOptions } from '../../src/accounts/sign-in.ts'
import { StoreUnavailable } from '../../src/errors.ts'
import { createAccount, createMemoryAccounts, replaceAccount } from '../support/memory-accounts.ts'

const CHEAP = { memoryKiB: 64, passes: 1, parallelism: 1 }
const RIGHT = 'correct horse battery staple'
const address = '192.0.2.1'
const clock = { now: () => 1_770_000_000 }

let accounts: AccountStore
let ada: Account
/** The parameters of every Argon2 run, which an attacker could measure. */
let work: string[]
let passwords: Passwords

beforeEach(async () => {
  accounts = createMemoryAccounts().accounts
  const plain = createPasswords(CHEAP)
  work = []
  passwords = {
    ...plain,
    verify(password, stored) {
      work.push(stored.split('$').slice(1, 4).join('$'))
      return plain.verify(password, stored)
    },
    hash(password) {
      work.push('hash')
      return plain.hash(password)
    },
  }
  ada = createAccount({ username: 'ada', passwordHash: await plain.hash(RIGHT) })
  await accounts.add(ada)
})

const open = (options: Partial<SignInOptions> = {}) =>
  createSignIn({ accounts, password: passwords, limits: DEFAULT_ATTEMPT_LIMITS, clock, ...options })

/** Changes the account as an operator's order does. */
const operatorChanges = (changes: Partial<Account>) =>
  accounts.change(ada.id, (current) => ({
    ...changes,
    updatedAt: nextChange(current, clock.now()),
  }))

const limits = (changes: Partial<AttemptLimits>) => ({ ...DEFAULT_ATTEMPT_LIMITS, ...changes })

describe('signIn', () => {
  it('signs in with the right password, in any case and with spaces around the name', async () => {
    const { signIn } = open()
    for (const username of ['ada', 'ADA', ' ada '])
      assert.deepEqual(await signIn({ username, password: RIGHT, address }), {
        outcome: 'signed-in',
        account: ada,
      })
  })

  it('refuses a password if it is replaced or its account disabled while it is checked', async () => {
    for (const meanwhile of [{ isDisabled: true }, { passwordHash: passwords.decoy() }]) {
      await replaceAccount(accounts, ada)
      const verify: Passwords['verify'] = async (password, stored) => {
        const isRight = await passwords.verify(password, stored)
        await accounts.change(ada.id, () => meanwhile)
        return isRight
      }
      const { signIn } = open({ password: { ...passwords, verify } })
      const answer = await signIn({ username: 'ada', password: RIGHT, address })
      assert(answer.outcome === 'refused')
      assert.equal(answer.reason, 'changed-meanwhile')
    }
  })

  it('refuses the right password with a space after it', async () => {
    const answer = await open().signIn({ username: 'ada', password: `${RIGHT} `, address })
    assert.deepEqual(answer, { outcome: 'refused', reason: 'wrong-password', account: ada })
  })

  it('answers and costs the same for a wrong password, an unknown name and a disabled account', async () => {
    const disabled = { ...ada, id: 'disabled', username: 'gone', isDisabled: true }
    await accounts.add(disabled)
    const { signIn } = open()
    const costs = []
    for (const attempt of [
      { username: 'ada', password: 'wrong' },
      { username: 'nobody', password: 'wrong' },
      { username: '', password: '' },
      { username: 'ada\u0000', password: RIGHT },
      { username: 'a'.repeat(10_000), password: RIGHT },
      { username: 'gone', password: RIGHT },
      { username: 'gone', password: 'wrong' },
    ]) {
      work.length = 0
      assert.equal((await signIn({ ...attempt, address })).outcome, 'refused')
      costs.push(work.join())
    }
    assert.deepEqual(new Set(costs), new Set(['argon2id$v=19$m=64,t=1,p=1']))
  })

  it('asks for a new password after a one-time password', async () => {
    const invited = { ...ada, mustChangePassword: true }
    await replaceAccount(accounts, invited)
    assert.deepEqual(await open().signIn({ username: 'ada', password: RIGHT, address }), {
      outcome: 'must-change',
      account: invited,
    })
  })

  it('stores only a new hash of the password when the parameters were raised', async () => {
    const raised = createPasswords({ ...CHEAP, passes: 2 })
    const { signIn } = open({ password: raised })
    await signIn({ username: 'ada', password: RIGHT, address })
    const stored = await accounts.findById(ada.id)
    assert.equal(raised.needsRehash(stored?.passwordHash ?? ''), false)
    assert.deepEqual({ ...stored, passwordHash: ada.passwordHash }, ada)
    assert.equal(await raised.verify(RIGHT, stored?.passwordHash ?? ''), true)
  })

  it('refuses a password if it is replaced or its account disabled while it is hashed anew', async () => {
    const raised = createPasswords({ ...CHEAP, passes: 2 })
    for (const meanwhile of [{ isDisabled: true }, { passwordHash: raised.decoy() }]) {
      await replaceAccount(accounts, ada)
      const hash: Passwords['hash'] = async (password) => {
        const hashed = await raised.hash(password)
        await operatorChanges(meanwhile)
        return hashed
      }
      const observe = mock.fn()
      const { signIn } = open({ password: { ...raised, hash }, observe })
      const answer = await signIn({ username: 'ada', password: RIGHT, address })
      assert.deepEqual(answer, { outcome: 'refused', reason: 'changed-meanwhile', account: ada })
      assert.deepEqual(observe.mock.calls[0]?.arguments, ['wrong'])
    }
  })

  it('signs in twice at once although only one of both hashes is stored', async () => {
    const raised = createPasswords({ ...CHEAP, passes: 2 })
    const { promise: bothHash, resolve: goOn } = Promise.withResolvers<void>()
    let hashing = 0
    const hash: Passwords['hash'] = async (password) => {
      hashing += 1
      if (hashing === 2) goOn()
      await bothHash
      return raised.hash(password)
    }
    const { signIn } = open({ password: { ...raised, hash } })
    const attempt = { username: 'ada', password: RIGHT, address }
    const answers = await Promise.all([signIn(attempt), signIn(attempt)])
    const stored = await accounts.findById(ada.id)
    for (const answer of answers)
      assert.deepEqual(answer, { outcome: 'signed-in', account: stored })
  })
})

describe('limits of signIn', () => {
  const guess = { username: 'ada', password: 'wrong', address }

  it('checks five of ten wrong passwords and tells the others how long to wait', async () => {
    const { signIn } = open()
    const answers = []
    for (let count = 0; count < 10; count += 1) answers.push(await signIn(guess))
    assert.deepEqual(
      answers.map(({ outcome }) => outcome),
      [...Array(5).fill('refused'), ...Array(5).fill('limited')],
    )
    for (const answer of answers.slice(5)) {
      assert(answer.outcome === 'limited')
      assert(answer.retryAfter > 0 && answer.retryAfter <= 900)
    }
  })

  it('runs no Argon2 while limited, not even for the right password, and looks the account up once', async () => {
    const { signIn } = open()
    for (let count = 0; count < 5; count += 1) await signIn(guess)
    work.length = 0
    const find = mock.method(accounts, 'findByUsername')
    const answer = await signIn({ ...guess, password: RIGHT })
    assert.equal(answer.outcome, 'limited')
    assert.equal(answer.account?.id, ada.id)
    assert.equal(work.length, 0)
    assert.equal(find.mock.callCount(), 1)
  })

  it('looks up no account while the network is limited', async () => {
    const { signIn } = open({ limits: limits({ perAddress: 3 }) })
    for (let count = 0; count < 3; count += 1) await signIn({ ...guess, username: `name ${count}` })
    const find = mock.method(accounts, 'findByUsername')
    assert.equal((await signIn(guess)).outcome, 'limited')
    assert.equal(find.mock.callCount(), 0)
  })

  it('stays limited while the store is unavailable', async () => {
    const { signIn } = open()
    for (let count = 0; count < 5; count += 1) await signIn(guess)
    mock.method(accounts, 'findByUsername', () => Promise.reject(new StoreUnavailable('away')))
    assert.equal((await signIn(guess)).outcome, 'limited')
  })

  describe('that an operator lifts', () => {
    /** Changes the account as `accounts unlock` does, with the same clock. */
    const unlock = () => operatorChanges({})
    const lockOut = async (signIn: SignIn['signIn'], times = 5) => {
      const outcomes = []
      for (let count = 0; count < times; count += 1) outcomes.push((await signIn(guess)).outcome)
      return outcomes
    }
    const right = { ...guess, password: RIGHT }

    it('are lifted at every process at once and are reached again by new guesses', async () => {
      const nodes = [open(), open()]
      for (const { signIn } of nodes) await lockOut(signIn)
      await unlock()
      for (const { signIn } of nodes) {
        const outcomes = await lockOut(signIn, 7)
        assert.deepEqual(outcomes, [...Array(5).fill('refused'), 'limited', 'limited'])
      }
      await unlock()
      for (const { signIn } of nodes) assert.equal((await signIn(right)).outcome, 'signed-in')
    })

    it('include those of the account from all addresses, but not those of networks', async () => {
      const { signIn } = open({ limits: limits({ perAccount: 6, perAddress: 4 }) })
      for (let count = 0; count < 7; count += 1)
        await signIn({ ...guess, address: `198.51.${count}.1` })
      const elsewhere = { ...right, address: '203.0.113.1' }
      assert.equal((await signIn(elsewhere)).outcome, 'limited')
      await unlock()
      assert.equal((await signIn(elsewhere)).outcome, 'signed-in')
      const crowd = { ...right, address: '203.0.113.2' }
      for (let count = 0; count < 4; count += 1)
        await signIn({ ...crowd, username: `name ${count}` })
      await unlock()
      assert.equal((await signIn(crowd)).outcome, 'limited')
    })

    it('leave the counts of networks as they were', async () => {
      const { signIn } = open({ limits: limits({ perAccount: 2, perAddress: 6 }) })
      const attempt = { ...guess, address: '203.0.113.1' }
      const outcomes = [await signIn(attempt), await signIn(attempt)]
      await unlock()
      outcomes.push(await signIn(attempt))
      assert.deepEqual(new Set(outcomes.map(({ outcome }) => outcome)), new Set(['refused']))
      // Three were counted; three more may come, of other names.
      for (let count = 0; count < 3; count += 1) {
        const other = await signIn({ ...attempt, username: `name ${count}` })
        assert.equal(other.outcome, 'refused', `${count}`)
      }
      assert.equal((await signIn({ ...attempt, username: 'one more' })).outcome, 'limited')
    })

    it('include those of a known browser', async () => {
      const { signIn } = open({ limits: limits({ perKnownBrowser: 2 }) })
      const known = { ...guess, memories: remember([], ada, clock.now()) }
      for (let count = 0; count < 2; count += 1) await signIn(known)
      assert.equal((await signIn(known)).outcome, 'limited')
      await unlock()
      assert.equal((await signIn({ ...known, password: RIGHT })).outcome, 'signed-in')
    })

    it('are not lifted by an earlier change, nor by the creation of the account', async () => {
      for (const createdAt of [clock.now(), clock.now() - 1000]) {
        const changed = { createdAt, updatedAt: createdAt }
        await accounts.remove(ada.id)
        await accounts.add({ ...ada, ...changed })
        const { signIn } = open()
        await lockOut(signIn)
        assert.equal((await signIn(right)).outcome, 'limited')
      }
      await accounts.change(ada.id, () => ({ updatedAt: clock.now() - 600 }))
      const { signIn } = open()
      await lockOut(signIn)
      assert.equal((await signIn(right)).outcome, 'limited')
    })

    it('hold again for simultaneous guesses after the lift', async () => {
      const { signIn } = open({ work: { atOnce: 2, waiting: 100 } })
      await lockOut(signIn)
      await unlock()
      const answers = await Promise.all(Array.from({ length: 40 }, () => signIn(guess)))
      assert.equal(answers.filter(({ outcome }) => outcome === 'refused').length, 5)
    })
  })

  it('limits unknown names as it does existing ones', async () => {
    const { signIn } = open()
    const outcomes = []
    for (let count = 0; count < 6; count += 1)
      outcomes.push((await signIn({ ...guess, username: 'nobody' })).outcome)
    assert.deepEqual(outcomes, [...Array(5).fill('refused'), 'limited'])
  })

  it('lets the owner in from another address while one address is limited', async () => {
    const { signIn } = open()
    for (let count = 0; count < 200; count += 1) await signIn(guess)
    const answer = await signIn({ ...guess, password: RIGHT, address: '198.51.100.7' })
    assert.equal(answer.outcome, 'signed-in')
  })

  it('limits simultaneous guesses', async () => {
    const { signIn } = open({ work: { atOnce: 2, waiting: 100 } })
    const answers = await Promise.all(Array.from({ length: 20 }, () => signIn(guess)))
    assert.equal(answers.filter(({ outcome }) => outcome === 'refused').length, 5)
  })

  it('clears the wrong passwords of an address when the right one comes', async () => {
    const { signIn } = open()
    for (let round = 0; round < 3; round += 1) {
      for (let count = 0; count < 4; count += 1)
        assert.equal((await signIn(guess)).outcome, 'refused')
      assert.equal((await signIn({ ...guess, password: RIGHT })).outcome, 'signed-in')
    }
  })

  it('limits an address that tries many names, but not many right passwords from it', async () => {
    const { signIn } = open({ limits: limits({ perAddress: 10 }) })
    for (let count = 0; count < 30; count += 1)
      assert.equal((await signIn({ ...guess, password: RIGHT })).outcome, 'signed-in')
    const outcomes = []
    for (let count = 0; count < 11; count += 1)
      outcomes.push((await signIn({ ...guess, username: `name${count}` })).outcome)
    assert.deepEqual(outcomes, [...Array(10).fill('refused'), 'limited'])
  })

  it('limits a name that is tried from many addresses', async () => {
    const { signIn } = open({ limits: limits({ perAccount: 10 }) })
    const outcomes = []
    for (let count = 0; count < 11; count += 1)
      outcomes.push((await signIn({ ...guess, address: `192.0.2.${count}` })).outcome)
    assert.deepEqual(outcomes, [...Array(10).fill('refused'), 'limited'])
  })

  it('counts an IPv6 /64 as one address, in any spelling', async () => {
    const { signIn } = open()
    const network = ['2001:db8:0:1::1', '2001:DB8::1:0:0:0:2', '2001:0db8:0000:0001:ffff::3']
    for (const from of [...network, ...network].slice(0, 5))
      await signIn({ ...guess, address: from })
    const from = (from: string) => signIn({ ...guess, address: from })
    assert.equal((await from('2001:db8:0:1:abcd::')).outcome, 'limited')
    assert.equal((await from('2001:db8:0:2::1')).outcome, 'refused')
  })

  it('counts an IPv4 address and its IPv6 spelling as one address', async () => {
    const { signIn } = open()
    for (let count = 0; count < 5; count += 1) await signIn(guess)
    const answer = await signIn({ ...guess, address: '::ffff:192.0.2.1' })
    assert.equal(answer.outcome, 'limited')
  })

  it('answers again once the window is over', async (t) => {
    t.mock.timers.enable({ apis: ['Date', 'setTimeout'] })
    const { signIn } = open()
    for (let count = 0; count < 6; count += 1) await signIn(guess)
    t.mock.timers.tick(901_000)
    assert.equal((await signIn({ ...guess, password: RIGHT })).outcome, 'signed-in')
  })

  it('refuses attempts when too many wait for Argon2, and counts them against the address', async () => {
    const { signIn } = open({ work: { atOnce: 1, waiting: 1 }, limits: limits({ perAddress: 4 }) })
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((username) => signIn({ ...guess, username, address })),
    )
    const causes = answers.map((answer) => (answer.outcome === 'limited' ? answer.cause : 'none'))
    assert.deepEqual(causes, ['none', 'none', 'busy', 'busy'])
    assert.equal((await signIn({ ...guess, password: RIGHT })).outcome, 'limited')
    const elsewhere = { ...guess, password: RIGHT, address: '198.51.100.7' }
    assert.equal((await signIn(elsewhere)).outcome, 'signed-in')
  })
})

describe('changePassword', () => {
  const fresh = 'purple monkey dishwasher'

  it('stores a new password and no longer asks for one', async () => {
    const invited = { ...ada, mustChangePassword: true }
    await replaceAccount(accounts, invited)
    const { changePassword, signIn } = open()
    const answer = await changePassword({ account: invited, password: fresh })
    assert(answer.outcome === 'changed')
    assert.equal(answer.account.updatedAt, clock.now())
    assert.equal((await signIn({ username: 'ada', password: fresh, address })).outcome, 'signed-in')
    assert.equal((await signIn({ username: 'ada', password: RIGHT, address })).outcome, 'refused')
  })

  it('refuses passwords that are short, easy to guess or unchanged', async () => {
    const account = { ...ada, username: 'ada.lovelace', claims: { email: 'countess@example.com' } }
    const { changePassword } = open()
    for (const [password, reason] of [
      ['short', 'too-short'],
      ['🔑'.repeat(14), 'too-short'],
      ['aaaaaaaaaaaaaaaaaaaa', 'predictable'],
      ['121212121212121212', 'predictable'],
      ['Ada.Lovelace2026!', 'predictable'],
      ['countess@example.com', 'predictable'],
      [RIGHT, 'unchanged'],
    ] as const)
      assert.deepEqual(
        await changePassword({ account, password }),
        { outcome: 'unacceptable', reason },
        password,
      )
    assert.equal((await accounts.findById(ada.id))?.passwordHash, ada.passwordHash)
  })

  it('changes nothing when the account changed since the old password was proved', async () => {
    const { changePassword } = open()
    for (const meanwhile of [{ isDisabled: true }, { passwordHash: passwords.decoy() }]) {
      await replaceAccount(accounts, { ...ada, ...meanwhile })
      const answer = await changePassword({ account: ada, password: fresh })
      assert.deepEqual(answer, { outcome: 'stale' })
      assert.deepEqual(await accounts.findById(ada.id), { ...ada, ...meanwhile })
    }
  })
})

describe('gate', () => {
  it('runs two at once, in order, lets two wait and refuses the rest', async () => {
    const gate = createGate({ atOnce: 2, waiting: 2 })
    const begun: number[] = []
    const finish: (() => void)[] = []
    const answers = [0, 1, 2, 3, 4].map((item) =>
      gate.run(async () => {
        begun.push(item)
        await new Promise<void>((done) => finish.push(done))
        return item
      }),
    )
    assert.equal(await answers[4], 'busy')
    assert.deepEqual(begun, [0, 1])
    finish[0]?.()
    assert.equal(await answers[0], 0)
    assert.deepEqual(begun, [0, 1, 2])
    finish[1]?.()
    await answers[1]
    finish[2]?.()
    finish[3]?.()
    assert.deepEqual(await Promise.all(answers), [0, 1, 2, 3, 'busy'])
    assert.equal(await gate.run(async () => 'free'), 'free')
  })

  it('lets lanes take turns, and refuses the newest of the longest', async () => {
    const gate = createGate({ atOnce: 1, waiting: 4 })
    const begun: string[] = []
    const ask = (name: string, ...lane: string[]) =>
      gate.run(async () => void begun.push(name), lane).then((answer) => answer ?? name)
    const answers = await Promise.all([
      ask('a1', 'net a', '1'),
      ask('a2', 'net a', '1'),
      ask('a3', 'net a', '1'),
      ask('a4', 'net a', '2'),
      ask('a5', 'net a', '2'),
      ask('b1', 'net b', '1'),
      ask('b2', 'net b', '1'),
      ask('c1', 'net c', '1'),
    ])
    assert.deepEqual(answers, ['a1', 'a2', 'busy', 'a4', 'busy', 'b1', 'busy', 'c1'])
    assert.deepEqual(begun, ['a1', 'a2', 'b1', 'c1', 'a4'])
  })

  it('frees its place when the work fails', async () => {
    const gate = createGate({ atOnce: 1, waiting: 0 })
    await assert.rejects(gate.run(() => Promise.reject(new Error('broken'))))
    assert.equal(await gate.run(async () => 'free'), 'free')
  })
})
