import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Database from 'better-sqlite3-napi'
import { readDex } from '../../src/import/dex.ts'
import { readHydraTable } from '../../src/import/hydra.ts'
import { parseJson } from '../../src/import/input.ts'
import { readJwksFile } from '../../src/import/jwks-file.ts'
import { readKeycloak } from '../../src/import/keycloak.ts'
import type { Table } from '../../src/import/row.ts'
import { tableRows } from '../../src/import/table.ts'

const MIB = 1024 * 1024
const table: Table = { name: 'Keys', columns: ['Id', 'Data'] }
const rows = (text: string) => tableRows(Buffer.from(text), table, 'FILE')

describe('JSON of an export', () => {
  it('is refused before it is parsed where it would take hundreds of megabytes', async () => {
    for (const text of [
      '['.repeat(8 * MIB),
      `[${'{},'.repeat(5 * MIB)}{}]`,
      `[${'0,'.repeat(8 * MIB - 2)}0]`,
    ]) {
      await assert.rejects(readJwksFile(Buffer.from(text), { name: 'FILE' }), {
        code: 'input_too_large',
      })
    }
  })

  it('may have brackets, quotes and backslashes in its texts', () => {
    for (const value of [['[['.repeat(1000)], { a: '\\"{', b: ['\\\\', '"'] }, '\\', 'null']) {
      assert.deepEqual(parseJson(JSON.stringify(value), 'FILE'), value)
    }
  })

  it('is told to be cut off where a string or a bracket is open, and else to be none', () => {
    for (const text of ['{"a', '{"a":1', '[1,', '{"a":"\\"']) {
      assert.throws(() => parseJson(text, 'FILE'), { code: 'input_truncated' })
    }
    for (const text of ['{a:1}', '[1]]', 'nul']) {
      assert.throws(() => parseJson(text, 'FILE'), { code: 'input_malformed' })
    }
  })

  it('is refused without a word of what it has', () => {
    assert.throws(
      () => parseJson('{"d": s3cr3t}', 'FILE'),
      (error: Error) => !/s3cr/.test(error.message),
    )
  })
})

describe('a table of an export', () => {
  it('is the same in what other programs put around it', () => {
    const data = `{"a":"b; 'c'"}`
    const sql = `'{"a":"b; ''c''"}'`
    const expected = [
      { Id: '1', Data: data },
      { Id: '2', Data: 'x' },
    ]
    const values = expected.map((row) => JSON.stringify(row))
    const others = {
      'semicolons, as Excel writes them': `sep=;\r\nId;Data\r\n1;"{""a"":""b; 'c'""}"\r\n2;x\r\n`,
      'names in small letters, with a blank': 'data, id\n"{""a"":""b; \'c\'""}",1\nx,2\n',
      'tabs, with the quotes of a spreadsheet': `Id\tData\n1\t"{""a"":""b; 'c'""}"\n2\tx\n`,
      sqlcmd:
        `Id|Data\n--|----\n1|${data.replaceAll('"', "'")}\n2|x\n\n(2 rows affected)\n`.replace(
          `{'a':'b; 'c''}`,
          `"{""a"":""b; 'c'""}"`,
        ),
      'a list of its own': `{"Keys":[${values}]}`,
      phpMyAdmin: `[{"type":"header"},{"type":"table","name":"Keys","database":"d","data":[${values}]}]`,
      'a row in each line': ` ${values.join('\r\n ')}\r\n`,
      'a script of SQL Server': `INSERT [dbo].[Keys] ([Id], [Data]) VALUES (CAST(N'1' AS NVarChar(450)), N${sql})\nGO\nINSERT [dbo].[Keys] ([Id], [Data]) VALUES (N'2', CAST(N'x' AS DateTime2))\nGO\n`,
      DBeaver: `INSERT INTO idp.dbo."Keys" (Id,Data) VALUES\n\t (N'1',N${sql}),\n\t (N'2',N'x');\n`,
      'types of PostgreSQL': `INSERT INTO public."Keys" VALUES ('1'::text, ${sql}), ('2', 'x'::text);\n`,
      'REPLACE, and INSERT IGNORE': `REPLACE INTO Keys VALUES ('1',${sql});\nINSERT IGNORE INTO Keys VALUES ('2','x');\n`,
    }
    for (const [name, text] of Object.entries(others)) assert.deepEqual(rows(text), expected, name)
  })

  it('of lines of JSON is bounded by lines, and read in one pass over blanks', () => {
    assert.throws(() => rows('{}\n'.repeat(5 * MIB)), { code: 'input_too_large' })
    for (const blank of [' ', '\r']) {
      const [first, second] = ['{"Id":"1"}', `{"Id":"2"${blank.repeat(8 * MIB)}}`]
      assert.deepEqual(rows(`${first}\n${second}`), [{ Id: '1' }, { Id: '2' }])
    }
  })

  it('has bytes from hexadecimal of MySQL, and bits', () => {
    assert.deepEqual(rows(`INSERT INTO Keys VALUES (b'1',0x7B7D),(0,0x);\n`), [
      { Id: '1', Data: Buffer.from('{}') },
      { Id: '0', Data: Buffer.alloc(0) },
    ])
    assert.throws(() => rows("INSERT INTO Keys VALUES (CAST('1' AS"), { code: 'input_malformed' })
  })

  it('is the same from CSV, tabs, JSON, COPY and INSERT, escapes included', () => {
    const data = `a "b" 'c' \\ d`
    const expected = [
      { Id: '1', Data: data },
      { Id: '2', Data: 'x' },
    ]
    for (const text of [
      `Id,Data\n1,"a ""b"" 'c' \\ d"\n2,x\n`,
      `1\ta "b" 'c' \\ d\n2\tx\n`,
      JSON.stringify(expected),
      `COPY public."Keys" ("Id", "Data") FROM stdin;\n1\ta "b" 'c' \\\\ d\n2\tx\n\\.\n`,
      `INSERT INTO "Keys" VALUES ('1', 'a "b" ''c'' \\ d');\nINSERT INTO "Keys" VALUES ('2','x');`,
      `-- MySQL dump 10\nINSERT INTO \`Keys\` (\`Id\`, \`Data\`) VALUES ('1','a \\"b\\" \\'c\\' \\\\ d'),('2','x');`,
      `INSERT INTO [dbo].[Keys] ([Id], [Data]) VALUES (N'1', N'a "b" ''c'' \\ d'), (2, N'x')`,
    ]) {
      assert.deepEqual(rows(text), expected, text)
    }
  })

  it('is refused where it was cut off', () => {
    for (const text of [
      'Id,Data\n1,"a',
      'COPY "Keys" ("Id", "Data") FROM stdin;\n1\ta\n',
      `INSERT INTO Keys VALUES ('1', 'a`,
    ]) {
      assert.throws(() => rows(text), { code: 'input_truncated' })
    }
  })

  it('is refused where it has more cells than memory is for', () => {
    for (const text of [
      ','.repeat(8 * MIB),
      '\n'.repeat(8 * MIB - 1).concat('a,b'),
      'Id,Data\n'.concat('a,b\n'.repeat(2 * MIB)),
    ]) {
      assert.throws(() => rows(text), { code: 'input_too_large' })
    }
  })

  it('is refused where bytes in hexadecimal fill the file', async () => {
    const hex = Buffer.from(
      `id,verification_keys,signing_key,signing_key_pub,next_rotation\nkeys,[],${'7B22'.repeat(3 * MIB)},,`,
    )
    await assert.rejects(readDex(hex, { name: 'FILE' }), { code: 'input_too_large' })
    const sealed = Buffer.from(
      `sid,kid,created_at,keydata\na,b,2026-01-01 00:00:00,${'A'.repeat(12 * MIB)}\n`,
    )
    await assert.rejects(readHydraTable(sealed, { name: 'FILE', secrets: ['x'] }), {
      code: 'password_wrong',
    })
  })
})

describe('a dump', () => {
  const evil = `COPY "Keys" ("Id", "Data") FROM stdin;\n666\tx\n\\.\nINSERT INTO "Keys" VALUES (666, 6);`

  it('gives no rows of what people wrote into other columns', () => {
    for (const [head, other] of [
      ['', `INSERT INTO people VALUES ('it''s me\n${evil}');`],
      ['', `INSERT INTO people VALUES (E'it\\'s me\n${evil}');`],
      ['-- MySQL dump 10\n', `INSERT INTO people VALUES ('it\\'s me\n${evil}\\\\');`],
      ['', `INSERT INTO people VALUES ('\n/*!40000 */', '\\', '\n${evil}');`],
      ['', `COPY people (name) FROM stdin;\nO'Hara INSERT INTO "Keys" VALUES (666, 6);\n\\.\n`],
      ['', `-- Name: it's; INSERT INTO "Keys" VALUES (666, 6);`],
      ['', `/* it's\n${evil} */`],
      ['', `CREATE FUNCTION f() AS $body$ it's\n${evil} $body$;`],
      ['', `CREATE TABLE "it's" (name text);`],
    ]) {
      const text = `${head}${other}\nINSERT INTO "Keys" VALUES ('1', 'good');\n${other}\n`
      assert.deepEqual(rows(text), [{ Id: '1', Data: 'good' }], text)
    }
  })

  it('is no dump where it is CSV with a header, whatever its cells say', () => {
    assert.deepEqual(rows(`"Id","Data"\n1,"a\n${evil.replaceAll('"', '""')}"\n`).length, 1)
  })

  it('is refused in seconds where each of a million statements is without an end', () => {
    for (const start of ['INSERT INTO a(', 'COPY a(\n', 'INSERT INTO a  ']) {
      const text = start.repeat((15 * MIB) / start.length)
      assert.throws(() => rows(text), { code: 'input_malformed' })
    }
  })
})

describe('a SQLite file', () => {
  const fileOf = (schema: string) => {
    const database = new Database(':memory:')
    database.exec(schema)
    const bytes = database.serialize()
    database.close()
    return tableRows(bytes, table, 'FILE')
  }

  it('is read as it was stored, and as often as one likes', () => {
    const schema = "CREATE TABLE Keys (Id, Data); INSERT INTO Keys VALUES ('1', 'x')"
    assert.deepEqual(fileOf(schema), [{ Id: '1', Data: 'x' }])
  })

  it('is refused where it works out its rows instead of having them', () => {
    for (const schema of [
      "CREATE VIEW Keys AS SELECT 1 AS Id, 'x' AS Data",
      'CREATE VIRTUAL TABLE Keys USING fts5(Id, Data)',
      `CREATE TABLE Keys (Id, Data AS (printf('%.*c', 500000000, 'x')));
       INSERT INTO Keys VALUES (1), (2), (3)`,
    ]) {
      assert.throws(() => fileOf(schema), { code: 'input_malformed' })
    }
  })
})

describe('a list in which everything is wrong', () => {
  it('is refused at the first, since notes about all would fill the memory', async () => {
    const list = Buffer.from(`[${'{},'.repeat(450_000)}{}]`)
    await assert.rejects(readKeycloak(list, { name: 'FILE', now: 0 }), { code: 'input_malformed' })
    const members = JSON.stringify(
      Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [i, 1])),
    )
    for (const [text, code] of [
      [`{"realm":"x","components":${members}}`, 'no_keys'],
      [`{"active":${members},"keys":[]}`, 'no_keys'],
      [
        `[{"providerId":"rsa","providerType":"org.keycloak.keys.KeyProvider","config":${members}}]`,
        'input_too_large',
      ],
    ] as const) {
      await assert.rejects(readKeycloak(Buffer.from(text), { name: 'FILE', now: 0 }), { code })
    }
    const numbers = `[${'1,'.repeat(900_000)}1]`
    for (const member of ['key_ops', 'x5c']) {
      const jwk = `{"kty":"EC","crv":"P-256","x":"AA","y":"AA","${member}":${numbers}}`
      await assert.rejects(readJwksFile(Buffer.from(jwk), { name: 'FILE' }), {
        name: 'ImportRefused',
      })
    }
  })
})
