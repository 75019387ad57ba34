import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ADVICE, adviceFor, withAdvice } from '../../src/cli/advice.ts'
import {
  ConfigInvalid,
  KekMissing,
  KeyturnError,
  NotFound,
  Refused,
  SealBroken,
} from '../../src/errors.ts'
import { DeploymentSecretDisplaced } from '../../src/ring/deployment-errors.ts'
import { StoreOutdated } from '../../src/ring/witness-errors.ts'

const SRC = join(import.meta.dirname, '../../src')
const files = (await Array.fromAsync(glob('**/*.ts', { cwd: SRC }))).map((name) => ({
  name,
  text: readFileSync(join(SRC, name), 'utf8'),
}))

describe('advice', () => {
  it('has an entry for every code that is thrown, and no other', () => {
    const thrown = files.flatMap(({ name, text }) => [
      ...[...text.matchAll(/new (?:Refused|NotFound)\(\s*'(\w+)'/g)].map(([, code]) => code),
      ...(name === 'errors.ts'
        ? [...text.matchAll(/super\('(\w+)', \{/g)].map(([, code]) => code)
        : []),
    ])
    assert.deepEqual([...new Set(thrown)].toSorted(), Object.keys(ADVICE).toSorted())
  })

  for (const [error, advice] of [
    [new NotFound('key_not_found', { named: 'k' }, ''), 'See: keyturn keys list'],
    [
      new Refused('already_turns', { ring: 'sig/RS256', kid: 'k', at: 1 }, ''),
      'To switch earlier, at a price: keyturn keys promote k --force',
    ],
    [
      new Refused('client_exists', { id: "o'hara app" }, ''),
      `See: keyturn clients show 'o'\\''hara app'. To remove it: keyturn clients remove 'o'\\''hara app'`,
    ],
    [new Refused('not_pre_active', { kid: 'k', phase: 'active' }, ''), 'See: keyturn keys list'],
    [new Refused('username_taken', { username: 'ada' }, ''), undefined],
    [new SealBroken('k', 'it was edited'), 'To revoke it: keyturn keys revoke k'],
    [new KekMissing('it is missing'), undefined],
    [
      new KekMissing('it is missing', { isNeeded: true }),
      'If it is lost for good: keyturn keys abandon --lost-kek',
    ],
    [new DeploymentSecretDisplaced(2, 1), 'To give one up: keyturn keys abandon --lost-kek'],
    [new ConfigInvalid([]), undefined],
    [
      new ConfigInvalid([{ path: 'f', value: null, rule: 'config-file', message: '', fix: '' }]),
      '\nTo use another file: keyturn --config FILE',
    ],
    [
      new KeyturnError(
        'store_unavailable',
        'It is recorded.',
        new SealBroken('k', 'it was edited'),
      ),
      'To revoke it: keyturn keys revoke k',
    ],
  ] as const) {
    it(`for ${error.code} (${error.constructor.name}) is ${advice ?? 'left out'}`, () => {
      assert.equal(adviceFor(error), advice)
    })
  }

  it('follows the message, and a list of commands begins on a new line', () => {
    assert.equal(
      withAdvice(new NotFound('client_not_found', { id: 'a' }, 'There is no client a.')),
      'There is no client a. See: keyturn clients list',
    )
    const lines = withAdvice(new StoreOutdated('2 events', 'the file w')).split('\n')
    assert.match(lines[0] ?? '', /^The key store is older .* it lacks 2 events\..*three ways out/)
    assert.deepEqual(lines.slice(1), [
      '  See what is missing:       keyturn restore check',
      '  Apply what is missing:     keyturn restore apply',
      '  Accept the older store:    keyturn restore accept --reason TEXT',
    ])
  })
})
