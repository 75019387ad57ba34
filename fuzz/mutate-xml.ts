import type { Random } from './random.ts'

/** Mutates the text of XML documents as disks, editors and attackers may damage it. */

/** Pieces of text with which parsers have failed. */
const TOKENS: readonly string[] = [
  ...['<', '>', '&', '"', "'", '/', '=', ']]>', '<![CDATA[', '<!--', '-->', '--', '<?x', '?>'],
  ...['&amp;', '&lt;', '&x;', '&#0;', '&#x110000;', '&#xD800;', '&#65;', '&', '%x;'],
  '<!DOCTYPE x [',
  ...[
    '<?xml version="1.1"?>',
    '<?xml version="1.0" encoding="utf-7"?>',
    '\ufeff',
    '\0',
    '\ud800',
    '\uffff',
  ],
  ...['xmlns=""', 'xmlns:a="b"', ' a:b="c"', 'xmlns:xml="x"', '__proto__="x"', ' id="*"', 'id=""'],
  ...[
    '<key/>',
    '<revocation/>',
    '<key id="*" />',
    '<revocation><key id="x"/></revocation>',
    '</key>',
  ],
  ...[
    '<descriptor>',
    '</descriptor>',
    '<encryptedSecret>',
    '<masterKey/>',
    '<value/>',
    '<value></value>',
  ],
  ...[
    '2026-02-30T00:00:00Z',
    '9999-12-31T23:59:59.99999999Z',
    '0001-01-01T00:00:00+14:00',
    '-1',
    '1e9',
  ],
  ...['AES_512_CBC', 'HMACSHA1', 'constructor', 'toString', '__proto__', 'keyLength="0"'],
  ...['AAAA', '====', 'A', '\r', '\n', '\t', ' ', '\u0085', '\u2028', '🚢'],
  ...[
    '<a>'.repeat(100),
    '</a>'.repeat(100),
    '&amp;'.repeat(3000),
    'A'.repeat(20_000),
    ' a="b"'.repeat(200),
  ],
]

/** Values that leave a document well-formed, so that the code after the parser is reached. */
const VALUES: readonly string[] = [
  ...[
    '',
    ' ',
    '*',
    '-1',
    '0',
    '1e9',
    'true',
    'constructor',
    '__proto__',
    'AES_512_CBC',
    'HMACSHA1',
    'Aes',
  ],
  ...[
    '2026-02-30T00:00:00Z',
    '9999-12-31T23:59:59.99999999Z',
    '0001-01-01T00:00:00+14:00',
    '2026-11-02',
  ],
  ...[
    'AAAA',
    '====',
    'A',
    'QUJD'.repeat(30),
    'A'.repeat(2000),
    '🚢',
    '&#65;',
    'x.Y, z',
    'DpapiXmlDecryptor',
  ],
  ...[
    '{18ae0118-bd7f-4478-8909-a88ceadabdf1}',
    'urn:x',
    'http://www.w3.org/2001/04/xmlenc#aes128-cbc',
  ],
]
const DOCTYPES = [
  '<!DOCTYPE key>',
  '<!DOCTYPE key [<!ENTITY a "b"><!ENTITY b "&a;&a;">]>',
  '<!DOCTYPE key SYSTEM "file:///etc/passwd">',
]
const NAMES = [
  'key',
  'revocation',
  'descriptor',
  'masterKey',
  'value',
  'encryptedSecret',
  'x',
  'x:y',
]

/** @param corpus texts to take pieces from */
export function mutateXml(text: string, corpus: readonly string[], random: Random): string {
  let mutated = text
  if (random.oneIn(2)) return mutateMeaning(text, random)
  const times = 1 + random.below(4)
  for (let i = 0; i < times; i++) mutated = mutateText(mutated, corpus, random)
  return mutated
}

/** Mutates values; the document mostly stays well-formed. */
function mutateMeaning(text: string, random: Random): string {
  if (random.oneIn(40)) return random.pick(DOCTYPES) + text.replace(/^\s*<\?[^>]*>/, '')
  switch (random.below(4)) {
    case 0:
      return replaceOne(text, /"[^"]*"/g, { with: () => `"${random.pick(VALUES)}"`, random })
    case 1:
      return replaceOne(text, />[^<]+</g, { with: () => `>${random.pick(VALUES)}<`, random })
    case 2: {
      const whole = /<([\w.:-]+)(?:\s[^<>]*)?(?:\/>|>[\s\S]*?<\/\1>)/g
      const times = random.below(3)
      return replaceOne(text, whole, { with: (old) => old.repeat(times), random })
    }
    default: {
      const names = [...text.matchAll(/<([\w.-]+)/g)].map(([, name = '']) => name)
      if (names.length === 0) return text
      const name = random.pick(names)
      return text.replaceAll(new RegExp(`(?<=</?)${name}(?=[\\s/>])`, 'g'), random.pick(NAMES))
    }
  }
}

function mutateText(text: string, corpus: readonly string[], random: Random): string {
  const at = random.below(text.length + 1)
  const length = random.oneIn(3) ? random.below(200) : random.below(8)
  const before = text.slice(0, at)
  const after = text.slice(at)
  switch (random.below(7)) {
    case 0:
      return before
    case 1:
      return before + after.slice(length)
    case 2:
      return before + after.slice(0, length) + after
    case 3:
      return before + random.pick(TOKENS) + after
    case 4:
      return before + random.pick(TOKENS) + after.slice(length)
    case 5:
      return before + String.fromCharCode(random.below(0x80)) + after.slice(1)
    default: {
      const other = random.pick(corpus)
      const from = random.below(other.length + 1)
      return before + other.slice(from, from + 10 * length) + after
    }
  }
}

function replaceOne(
  text: string,
  pattern: RegExp,
  { with: replace, random }: { readonly with: (old: string) => string; readonly random: Random },
): string {
  const found = [...text.matchAll(pattern)]
  if (found.length === 0) return text
  const { index, 0: old } = random.pick(found)
  return text.slice(0, index) + replace(old) + text.slice(index + old.length)
}
