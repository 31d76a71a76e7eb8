// Patterns of routes against npm's path-to-regexp 6.3.0: what matches, what is captured, what is
// refused, and why. SEED=n for other patterns, SCALE=n for n times as many.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { createContext, Script } from 'node:vm'
import { parse, pathToRegexp } from 'path-to-regexp'
import { build } from './support.mjs'

// By an error in V8's optimizer /^(?:(?=a)abcde)*?\.\.$/ matches "abcde.." only the first time.
setFlagsFromString('--no-regexp-optimization')

const SEED = Number(process.env.SEED || 1)
const SCALE = Number(process.env.SCALE || 1)
const PATTERNS = Math.ceil(9_000 * SCALE)
const PATHS = 7 // for each pattern
const program = `${build}/tests/tools/match`

// --- Chance ------------------------------------------------------------------------------------

let state = SEED >>> 0
function random () {
  state = (state + 0x6D2B79F5) >>> 0
  let t = state
  t = Math.imul(t ^ (t >>> 15), t | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const below = n => Math.floor(random() * n)
const chance = p => random() < p
const pick = list => list[below(list.length)]
const times = (n, fn) => Array.from({ length: n }, fn)
const text = (alphabet, max) => times(below(max + 1), () => pick(alphabet)).join('')

// --- Regular expressions, each with a function that makes something it may match ----------------

const atoms = [
  ['\\d', () => pick('0179')], ['\\w', () => pick('aZ0_')], ['\\s', () => pick(' \v\f\r')],
  ['\\D', () => pick('a-/')], ['\\W', () => pick('-. ')], ['\\S', () => pick('a1/')],
  ['.', () => pick('a/-\r')], ['[a-c]', () => pick('abcB')], ['[^a]', () => pick('b/A1\n'.slice(0, 4))],
  ['[^/]', () => pick('ab-')], ['[\\w.-]', () => pick('a.-')], ['[a\\-c]', () => pick('a-cb')],
  ['[\\d-a]', () => pick('5-a')], ['[^]', () => pick('ab/')], ['[]', () => 'a'], ['[-a]', () => pick('-a')],
  ['[a-]', () => pick('a-')], ['[.]', () => '.'], ['[\\]]', () => ']'], ['[\\b]', () => '\b'],
  ['[A-Z]', () => pick('aZ[')], ['[Z-a]', () => pick('Z[az`')], ['[\\cA\\c1]', () => '\x01'],
  ['[\\c]', () => pick('\\c')], ['[\\x41-\\u0043]', () => pick('ABC')], ['[\\101]', () => 'A'],
  ['a', () => pick('aA')], ['b', () => 'b'], ['1', () => '1'], ['-', () => '-'], ['/', () => '/'],
  ['\\/', () => '/'], ['\\.', () => '.'], ['\\-', () => '-'], ['\\u0041', () => pick('Aa')],
  ['\\x61', () => 'a'], ['\\x6', () => 'x6'], ['\\u004', () => 'u004'], ['\\u{2}', () => 'uu'], ['\\cA', () => '\x01'],
  ['\\c!', () => '\\c!'], ['\\0', () => '\0'], ['\\101', () => 'A'], ['\\8', () => '8'], ['\\k', () => 'k'],
  ['\\p', () => 'p'], ['\\Q', () => 'Q'], ['\\e', () => 'e'], ['\\z', () => 'z'], ['\\R', () => 'R'], ['\\h', () => 'h'],
  ['\\u0100', () => 'a'], [']', () => ']'], ['}', () => '}'], ['{', () => '{'], ['a{', () => 'a{'], ['a{,2}', () => 'a{,2}'],
  ['#', () => '#'], ['&', () => '&'], [' ', () => ' '], ['_', () => '_']
]
const assertions = ['^', '$', '\\b', '\\B', '(?=a)', '(?!a)', '(?=.*b)', '(?!.*-)', '(?<=a)', '(?<!a)', '(?<=/)', '(?<=ab|c)', '(?=a)?', '(?!b)*', '(?=a){1}']
const quantifiers = ['*', '+', '?', '{2}', '{1,2}', '{0,1}', '{2,}', '{0}', '{1}', '*?', '+?', '??', '{1,2}?', '{2}?']
const counts = { '*': [0, 2], '+': [1, 3], '?': [0, 1], '{2}': [2, 2], '{1,2}': [1, 2], '{0,1}': [0, 1], '{2,}': [2, 3], '{0}': [0, 0], '{1}': [1, 1] }

function quantified ([source, sample]) {
  if (!chance(0.4)) return [source, sample]
  const quantifier = pick(quantifiers)
  const [least, most] = counts[quantifier] || counts[quantifier.slice(0, -1)]
  return [source + quantifier, () => times(least + below(most - least + 1), sample).join('')]
}

function sequence (depth) {
  const parts = times(chance(0.1) ? 0 : 1 + below(3), () => {
    if (chance(0.08)) return [pick(assertions), () => '']
    if (chance(0.02)) return ['\\' + (1 + below(3)), () => pick(['', 'a', '\x01'])]
    if (depth > 0 && chance(0.3)) {
      const [source, sample] = alternatives(depth - 1)
      return quantified([`(?:${source})`, sample])
    }
    return quantified(pick(atoms))
  })
  return [parts.map(part => part[0]).join(''), () => parts.map(part => part[1]()).join('')]
}

function alternatives (depth) {
  const list = times(chance(0.3) ? 2 + below(2) : 1, () => sequence(depth))
  return [list.map(one => one[0]).join('|'), () => pick(list)[1]()]
}

const usual = [
  ['.*', () => text('ab/.-', 6)], ['\\d+', () => text('0123', 4)], ['[^/]+', () => text('ab.', 4)],
  ['.+', () => text('ab/', 5)], ['[a-z]+', () => text('abB', 3)], ['en|de', () => pick(['en', 'DE', 'fr'])],
  ['\\w*', () => text('ab_', 3)], ['.*?', () => text('ab/', 4)], ['\\d{4}', () => text('0123', 5)],
  ['[0-9a-f]{2,4}', () => text('09af', 5)], ['[^-]+?', () => text('ab-', 4)], ['a|ab', () => pick(['a', 'ab'])],
  ['[a-z]+(?:-[a-z]+)*', () => text('ab-', 5)], ['(?!new).*', () => pick(['new', 'old', 'news'])],
  ['\\d+\\.\\d\\d', () => pick(['1.00', '12.5', '1x00'])], ['$a', () => '$a'], ['\\S+', () => text('ab /', 4)]
]
const regex = () => chance(0.5) ? pick(usual) : alternatives(2)

// --- Patterns ----------------------------------------------------------------------------------

const literals = ['a', 'b', 'ab', 'users', '-', '--', '_', '~', '@', '.', ',', '=', '$', '^', '|', '[', ']', '/', '//', '#', '!', 'A', 'é', '€', ' ', '%20', '0', '&x', ';', '"', '\\:', '\\(', '\\{', '\\\\', '\\a', '\\+']
  .map(literal => Buffer.from(literal).toString('latin1'))
const names = ['a', 'b', 'id', 'x_1', '0', 'Name']
const segment = () => text(['a', 'b', 'B', '-', '.', '1', '%', '_', '\xc3\xa9', 'ab', ' '], 5)
const unescaped = literal => literal.replace(/\\(.)/g, '$1')

function param () {
  const name = chance(0.75) ? ':' + pick(names) : ''
  if (name && chance(0.65)) return [name, segment]
  const [source, sample] = regex()
  return [`${name}(${source})`, sample]
}

function token () {
  const kind = random()
  if (kind < 0.35) {
    const literal = pick(literals)
    return [literal, () => unescaped(literal)]
  }
  if (kind < 0.75) {
    const [source, sample] = param()
    const prefix = chance(0.7) ? pick(['/', '/', '/', '.', '-', '/x-']) : ''
    const modifier = chance(0.3) ? pick('?*+') : ''
    const between = chance(0.3) && modifier && modifier !== '?' ? 1 + below(3) : 1
    const absent = modifier && modifier !== '+' ? 0.4 : 0
    return [prefix + source + modifier, () => chance(absent) ? '' : times(between, () => prefix + sample()).join('')]
  }
  const [before, after] = [chance(0.7) ? pick(literals) : '', chance(0.3) ? pick(literals) : '']
  const [source, sample] = chance(0.6) ? param() : ['', () => '']
  const modifier = chance(0.6) ? pick('?*+') : ''
  return [`{${before}${source}${after}}${modifier}`, () =>
    times(modifier ? below(3) : 1, () => unescaped(before) + sample() + unescaped(after)).join('')]
}

function byGrammar () {
  const tokens = times(below(5), token)
  if (chance(0.8)) tokens.unshift(['/', () => '/'])
  return [tokens.map(one => one[0]).join(''), () => tokens.map(one => one[1]()).join('')]
}

// A few characters fewer, more, or others.
function mutated (string, alphabet) {
  for (let n = 1 + below(2); n > 0; n--) {
    const at = below(string.length + 1)
    string = string.slice(0, at) + (chance(0.6) ? pick(alphabet) : '') + string.slice(at + below(2))
  }
  return string
}

const pieces = [':', '(', ')', '{', '}', '?', '*', '+', '\\', '/', '.', '-', '[', ']', '^', '$', '|', 'a', '1', ',', '=', '!', '<', ':a', '(?:', '{2}', '(.*)', '[^', '\\d']

function pattern () {
  const [source, sample] = byGrammar()
  return chance(0.3) ? [mutated(source, pieces), sample] : [source, sample]
}

function options () {
  const set = {}
  if (chance(0.15)) set.sensitive = true
  if (chance(0.15)) set.strict = true
  if (chance(0.2)) set.end = false
  if (chance(0.08)) set.start = false
  if (chance(0.1)) set.delimiter = pick(['/', '.', '-', '', 'a', '/.', '-/', 'a-c', ']^\\', '/-_', '\\'])
  if (chance(0.08)) set.prefixes = pick(['', '/', '-', './-', '@.', 'a'])
  if (chance(0.08)) set.endsWith = pick(['?', '#?', '.', 'a', 'x-z'])
  return set
}

// --- Paths -------------------------------------------------------------------------------------

const path = sample => {
  let string = sample()
  if (chance(0.15)) string += pick(['/', '//', '#', '?', '/a', '?a', 'a', '.', '-'])
  if (chance(0.1)) string = pick(['/', 'a', '/a', 'ab/']) + string
  if (chance(0.1)) string = chance(0.5) ? string.toUpperCase() : string.toLowerCase()
  if (chance(0.25)) string = mutated(string, ['/', 'a', 'b', '-', '.', '1', 'A', '\r', '\xff', '_', '?'])
  // The alphabet of JavaScript has two cases outside of ASCII, too.
  return string.replace(/[\t\n]/g, '').replace(/\xe3/g, '\xc3').replace(/\xc2/g, '\xe2').slice(0, 28)
}

// --- Both --------------------------------------------------------------------------------------

// Captures come as UTF-8 where they are.
function shown (capture) {
  if (capture === undefined) return null
  const bytes = Buffer.from(capture, 'latin1')
  return Buffer.compare(Buffer.from(bytes.toString()), bytes) === 0 ? bytes.toString() : capture
}

// JavaScript's engine has no limit; some of these would take it years.
const context = createContext({})
const exec = new Script('re.exec(path)')
const slow = { slow: true }
function patiently (re, path) {
  try {
    const match = exec.runInContext(Object.assign(context, { re, path }), { timeout: 500 })
    return match ? match.slice(1).map(shown) : false
  } catch (error) {
    assert.equal(error.code, 'ERR_SCRIPT_EXECUTION_TIMEOUT')
    return slow
  }
}

// The regular expressions of a pattern are put together unread: "([)" is one as long as there is a ']'
// somewhere behind. For us each must be one by itself.
function theirs (source, options) {
  const failure = error => () => ({ error: error.message })
  try {
    const re = pathToRegexp(source, [], options)
    parse(source, options).forEach(token => new RegExp(token.pattern || ''))
    return path => patiently(re, path)
  } catch (error) {
    if (error instanceof TypeError) return failure(error)
    try {
      parse(source, options).forEach(token => new RegExp(token.pattern || ''))
    } catch (alone) {
      return failure(alone)
    }
    return failure(error)
  }
}

// Ours says where the regular expression is wrong, theirs repeats all of it.
const reason = message => message
  .replace(/^(Invalid regular expression)(: \/[^]*\/i?| at \d+): /, '$1: ')
  .replace('Invalid quantifier', 'Nothing to repeat') // of a lookbehind

// What we refuse though JavaScript does not; see framework/application/pattern.h.
const refusals = /lookbehind assertion is not fixed length/
const givenUp = /takes too long/
const unsupported = /built without PCRE2/

async function answers (lines) {
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', data => { output += data })
  child.stdin.end(Buffer.from(lines.join('\n') + '\n', 'latin1'))
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
  const list = output.split('\n')
  assert.equal(list.pop(), '')
  assert.equal(list.length, lines.length)
  return list.map(line => JSON.parse(line))
}

test(`${PATTERNS} patterns, ${PATTERNS * PATHS} pairs, seed ${SEED}`, { skip: !existsSync(program) && 'no jansson' }, async t => {
  const lines = []
  const expected = []
  while (lines.length < PATTERNS * PATHS) {
    const [source, sample] = pattern()
    if (/[\t\n]/.test(source) || /\(\?<[^=!]/.test(source)) continue
    const given = options()
    const match = theirs(source, given)
    for (let i = 0; i < PATHS; i++) {
      const one = path(sample)
      lines.push(`${source}\t${JSON.stringify(given)}\t${one}`)
      expected.push(match(one))
    }
  }
  const found = await answers(lines)
  const count = { matches: 0, misses: 0, errors: 0, refused: 0, givenUp: 0, unsupported: 0 }
  const differences = []
  found.forEach((ours, i) => {
    const their = expected[i]
    if (refusals.test(ours.error)) return count.refused++
    if (unsupported.test(ours.error)) return count.unsupported++
    if (givenUp.test(ours.error) || their === slow) return count.givenUp++
    count[ours.error ? 'errors' : ours ? 'matches' : 'misses']++
    const same = ours.error && their.error
      ? reason(ours.error) === reason(their.error)
      : JSON.stringify(ours) === JSON.stringify(their)
    if (!same) differences.push(`${JSON.stringify(lines[i])}: ${JSON.stringify(ours)}, not ${JSON.stringify(their)}`)
  })
  t.diagnostic(JSON.stringify(count))
  assert.deepEqual(differences.slice(0, 40), [])
  assert.ok(count.refused < found.length / 500, `${count.refused} refused`)
  assert.ok(count.givenUp < found.length / 2000, `${count.givenUp} given up`)
  for (const kind of ['matches', 'misses', 'errors']) assert.ok(count[kind] > found.length / 20, kind)
})
