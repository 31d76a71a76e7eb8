// Sec-WebSocket-Extensions against npm's ws 8.23: what is malformed and where, what a server makes of offers and a
// client of responses, to the byte. SEED=n for other headers, SCALE=n for n times as many.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { build, throughTool } from './support.mjs'
import { chance, scale, seed } from './traffic/chance.mjs'

// ws does not export these.
const lib = name => import(new URL(`../node_modules/ws/lib/${name}.js`, import.meta.url))
const { default: { format, parse } } = await lib('extension')
const { default: PerMessageDeflate } = await lib('permessage-deflate')

const HEADERS = Math.ceil(12_000 * scale)
const NAME = PerMessageDeflate.extensionName
const skip = !existsSync(`${build}/tests/tools/extension`) && 'no jansson'
const r = chance('extensions')

// --- Headers -----------------------------------------------------------------------------------

const blanks = () => r.one(0.7) ? '' : r.pick([' ', '  ', '\t', ' \t '])
const separator = char => blanks() + char + (r.one(0.7) ? ' ' : blanks())
const token = () => r.pick(['foo', 'a', "!#$%&'*+-.^_`|~", '0', 'x-webkit-deflate-frame', 'permessage-bzip2', 'Bar9'])

const bits = () => r.one(0.85)
  ? String(r.between(8, 15))
  : r.pick(['7', '16', '0', '', '08', '010', '1', '100', '-9', '9x', '15.5', '0xF', '1e1', '+9', '10.', '9.0', '0b1010', '4294967305', '18446744073709551625'])

const escaped = text => [...text].map(char => r.one(0.2) ? '\\' + char : char).join('')

function value (text) {
  if (r.one(0.75)) return '=' + text
  return r.one(0.95) ? `="${r.one(0.5) ? text : escaped(text)}"` : `="${text}`
}

function parameter () {
  const name = r.pick(['server_no_context_takeover', 'client_no_context_takeover', 'server_max_window_bits', 'client_max_window_bits'])
  if (r.one(0.04)) return token() + (r.one(0.5) ? value(token()) : '')
  if (name.endsWith('takeover')) return name + (r.one(0.05) ? value(r.pick(['true', '1', 'x'])) : '')
  if (r.one(name.startsWith('client') ? 0.4 : 0.05)) return name
  return name + value(bits())
}

// Mostly each comes once.
function parameters (most) {
  const list = []
  while (list.length < most) {
    const next = parameter()
    const name = next.split('=')[0]
    if (r.one(0.98) && list.some(one => one.split('=')[0] === name)) break
    list.push(next)
  }
  return list
}

const extension = () => [
  r.one(0.85) ? NAME : r.one(0.2) ? NAME.toUpperCase() : token(),
  ...parameters(r.below(5))
].join(separator(';'))

const odd = ['"', '\\', ',', ';', '=', ' ', '\t', '/', '(', '\xe9', '\x7f', '\x01', 'a', '1', '', '']

function mutated (text) {
  for (let n = r.between(1, 2); n > 0; n--) {
    const at = r.below(text.length + 1)
    text = text.slice(0, at) + r.pick(odd) + text.slice(at + r.below(2))
  }
  return text
}

function header (most) {
  const text = Array.from({ length: r.between(1, most) }, extension).join(separator(','))
  return r.one(0.12) ? mutated(text) : text
}

function options () {
  const flag = () => r.pick([undefined, undefined, undefined, true, false])
  const bits = () => r.pick([undefined, undefined, undefined, false, 8, 9, 10, 12, 14, 15])
  return {
    serverNoContextTakeover: flag(),
    clientNoContextTakeover: flag(),
    serverMaxWindowBits: bits(),
    clientMaxWindowBits: bits()
  }
}

// --- What ws says ------------------------------------------------------------------------------

function caught (run) {
  try {
    return run()
  } catch (error) {
    return { error: error.message }
  }
}

// The one point where we are stricter: +'0xF' and the like are no window bits.
let stricter = 0
function withoutLeniency (extensions) {
  for (const offer of extensions[NAME] ?? []) {
    for (const name of ['server_max_window_bits', 'client_max_window_bits']) {
      offer[name] = offer[name]?.map(value => {
        if (value === true || /^([89]|1[0-5])$/.test(value)) return value
        if (Number.isInteger(+value) && +value >= 8 && +value <= 15) stricter++
        return 'wrong'
      })
      if (!offer[name]) delete offer[name]
    }
  }
  return extensions
}

const params = params => ({
  server_no_context_takeover: params.server_no_context_takeover ?? false,
  client_no_context_takeover: params.client_no_context_takeover ?? false,
  server_max_window_bits: params.server_max_window_bits ?? 15,
  client_max_window_bits: params.client_max_window_bits ?? 15
})

// In the order of lib/websocket-server.js.
function server (options, header) {
  const extensions = withoutLeniency(parse(header))
  if (!extensions[NAME]) return null
  const accepted = new PerMessageDeflate({ ...options, isServer: true }).accept(extensions[NAME])
  return { text: format({ [NAME]: [accepted] }), params: params(accepted) }
}

// In the order of lib/websocket.js.
function client (options, header) {
  const extensions = withoutLeniency(parse(header))
  if (Object.keys(extensions).join() !== NAME) throw new Error('Server indicated an extension that was not requested')
  return { params: params(new PerMessageDeflate(options).accept(extensions[NAME])) }
}

const offer = options => format({ [NAME]: new PerMessageDeflate(options).offer() })

// By name, with the values of each name, as ws has it.
function grouped (pairs, group) {
  const all = {}
  for (const [name, value] of pairs) (all[name] ??= []).push(group ? grouped(value) : value)
  return all
}

// Who has several things wrong may be told any of them.
function reason (text) {
  if (/^(Unexpected (character|end)|unexpected)/.test(text)) return 'malformed'
  if (/^(Parameter|Invalid value|Unknown parameter)|a parameter|unknown parameter/.test(text)) return 'parameters'
  if (/^(None of|no acceptable)/.test(text)) return 'declined'
  if (/that was not (requested|offered)$/.test(text) && !text.startsWith('client_')) return 'foreign'
  return /client_\w+/.exec(text)[0]
}

const comparable = result => JSON.stringify(result?.error ? { error: reason(result.error) } : result)

// --- The comparison ----------------------------------------------------------------------------

const line = (role, options, header = '') => `${role}\t${JSON.stringify(options)}\t${header}`

async function compare (t, cases, least) {
  const found = await throughTool('extension', cases.map(one => one.line))
  const differences = []
  const kinds = {}
  found.forEach((ours, i) => {
    const kind = ours?.error ? reason(ours.error) : ours === null ? 'nothing' : 'good'
    kinds[kind] = (kinds[kind] ?? 0) + 1
    if (comparable(ours) !== comparable(cases[i].theirs)) differences.push([cases[i].line, ours, cases[i].theirs])
  })
  t.diagnostic(`${cases.length}: ${JSON.stringify(kinds)}`)
  assert.deepEqual(differences.slice(0, 20), [])
  for (const kind of least) assert.ok(kinds[kind] > cases.length / 100, kind)
}

test(`a server's answer to ${HEADERS} headers, seed ${seed}`, { skip }, async t => {
  const cases = Array.from({ length: HEADERS }, () => {
    const [given, text] = [options(), header(4)]
    return { line: line('server', given, text), theirs: caught(() => server(given, text)) }
  })
  await compare(t, cases, ['good', 'nothing', 'malformed', 'parameters', 'declined'])
  assert.ok(stricter > HEADERS / 1000, `${stricter} times stricter`)
})

test(`what a client makes of ${HEADERS} responses`, { skip }, async t => {
  const cases = Array.from({ length: HEADERS }, () => {
    const [given, text] = [options(), header(r.one(0.8) ? 1 : 3)]
    return { line: line('client', given, text), theirs: caught(() => client(given, text)) }
  })
  await compare(t, cases, ['good', 'malformed', 'parameters', 'foreign', 'client_no_context_takeover', 'client_max_window_bits'])
})

test('what a client offers, with all options', { skip }, async t => {
  const flags = [undefined, true, false]
  const bits = [undefined, false, 8, 9, 10, 11, 12, 13, 14, 15]
  const cases = []
  for (const serverNoContextTakeover of flags) {
    for (const clientNoContextTakeover of flags) {
      for (const serverMaxWindowBits of bits) {
        for (const clientMaxWindowBits of bits) {
          const given = { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits }
          cases.push({ line: line('offer', given), theirs: offer(given) })
        }
      }
    }
  }
  await compare(t, cases, ['good'])
})

// --- The grammar -------------------------------------------------------------------------------

async function compareParsed (t, headers) {
  const found = await throughTool('extension', headers.map(header => line('parse', {}, header)))
  const differences = []
  let good = 0
  found.forEach((ours, i) => {
    const theirs = caught(() => parse(headers[i]))
    good += ours.error === undefined
    const same = ours.error === undefined && theirs.error === undefined
      ? JSON.stringify(grouped(ours, true)) === JSON.stringify(theirs)
      : ours.error === 'unexpected end'
        ? theirs.error === 'Unexpected end of input'
        : theirs.error === `Unexpected character at index ${ours.at}`
    if (!same) differences.push([headers[i], ours, theirs])
  })
  t.diagnostic(`${headers.length}: ${good} good`)
  assert.deepEqual(differences.slice(0, 20), [])
  assert.ok(good > headers.length / 1000 && good < headers.length)
}

// Everything that can be made of these characters.
test('every short header', { skip }, async t => {
  let all = ['']
  const headers = ['']
  for (let length = 1; length <= 6; length++) {
    all = all.flatMap(text => [...'a;,="\\ '].map(char => text + char))
    headers.push(...all)
  }
  for (const text of all.slice(0, 20_000)) headers.push('a;a=' + text, 'a;a="' + text)
  await compareParsed(t, headers)
})

test('every character, anywhere', { skip }, async t => {
  const headers = []
  for (let code = 0; code < 256; code++) {
    const char = String.fromCharCode(code)
    if (char === '\n') continue
    for (const text of ['?', '?a', 'a?', 'a?b', 'a ?', 'a;?', 'a;b?', 'a;b?c', 'a;b ?', 'a;b=?', 'a;b=c?', 'a;b=c?d', 'a;b=c ?', 'a;b="?"', 'a;b="c?"', 'a;b="\\?"', 'a;b="c\\?d"', 'a;b="c"?', 'a,?', 'a,?b']) {
      headers.push(text.replace('?', () => char))
    }
  }
  await compareParsed(t, headers)
})

test('random headers', { skip }, async t => {
  await compareParsed(t, Array.from({ length: HEADERS }, () => r.one(0.5) ? header(4) : mutated(header(4))))
})
