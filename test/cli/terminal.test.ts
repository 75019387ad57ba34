import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { plainJson, plainText } from '../../src/cli/terminal.ts'
import { serializedKey as anyKey } from '../../src/conformance/records.ts'
import { shellWord } from '../../src/values/shell-word.ts'
import { DAY, keyturnIn } from './keyturn.ts'

/** Texts that clear the screen, set the title of the window, hide text or reverse it. */
const NASTY = [
  '\u001b[2J',
  '\u001b]0;pwned\u0007',
  '\u001b[8m',
  '\u009b2J',
  '\r',
  '\u202e',
  '\u007f',
]

describe('output for operators', () => {
  for (const id of [
    `x${NASTY.join('')}`,
    'x; touch pwned #',
    '$(touch pwned)',
    "x'`touch pwned`",
  ]) {
    it(`has no control characters for the kid ${JSON.stringify(id)}`, async () => {
      await using cli = await keyturnIn()
      await cli.makeRings(DAY)
      await cli.withStores(({ keys }) => keys.addKey(anyKey(99, { id, ring: 'sig/ES256' })))
      for (const args of [
        ['keys', 'list'],
        ['keys', 'plan'],
        ['keys', 'list', '--json'],
      ]) {
        const { status, out, err } = await cli.run(args)
        assert.equal(status, 1, args.join(' '))
        const shown = out + err
        for (const text of NASTY) assert.ok(!shown.includes(text), JSON.stringify(shown))
        const [, command = ''] = /To revoke it: keyturn keys revoke (.*)/.exec(shown) ?? []
        const words = execFileSync('/bin/sh', ['-c', `printf '%s\\n' ${command}`], {
          cwd: cli.path,
        })
        assert.equal(String(words).trimEnd(), id.replace(/[^\x20-\x7e]/g, '?'))
      }
    })
  }

  it('keeps line breaks and bold text', () => {
    const own = '\u001b[1mRING\tGEN\u001b[22m\nsig/ES256 josé 日本 👩‍👩‍👧'
    assert.equal(plainText(own), own)
    for (const text of NASTY) assert.match(plainText(text), /^\?/)
  })

  it('has the same values in JSON, with control characters escaped', () => {
    const value = { name: NASTY.join(' '), other: 'josé\n' }
    const json = plainJson(JSON.stringify(value, null, 2))
    assert.deepEqual(JSON.parse(json), value)
    for (const text of NASTY) assert.ok(!json.includes(text))
  })

  it('quotes only words that a shell would split or change', () => {
    for (const plain of ['ada', 'a.b@c-d_e', 'https://app.example/'])
      assert.equal(shellWord(plain), plain)
    for (const odd of ['', '-x', 'a b', 'a;b', "a'b", 'a$b', 'a\nb', 'ä', '~', '#a', 'a*', '!a']) {
      const words = execFileSync('/bin/sh', ['-c', `printf '%s|' ${shellWord(odd)}`])
      assert.equal(String(words), `${odd}|`)
    }
  })
})
