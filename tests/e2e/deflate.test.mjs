// Compressed messages, exchanged with npm's ws 8.23: what one side compresses the other one reads, in both directions,
// with every window and with and without context takeover. SEED=n for other messages, SCALE=n for n times as many.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { build, throughTool } from './support.mjs'
import { chance, scale, seed } from './traffic/chance.mjs'

// ws does not export it.
const { default: PerMessageDeflate } = await import(new URL('../node_modules/ws/lib/permessage-deflate.js', import.meta.url))

const skip = !existsSync(`${build}/tests/tools/deflate`) && 'no jansson'
const r = chance('deflate')

// --- Messages ----------------------------------------------------------------------------------

const words = ['the ', 'onion ', '{"user":"', '"},', 'message ', '0', '漢字', '\n', 'connection ', 'a', 'aaaaaaaaaaaaaaaa']

function message () {
  const length = r.pick([0, 1, 5, 100, 100, 1000, 1000, 5000, r.one(0.3) ? 100_000 : 3])
  if (r.one(0.2)) return r.bytes(length)
  const parts = []
  for (let left = length; left > 0; left -= parts.at(-1).length) parts.push(Buffer.from(r.pick(words)))
  return Buffer.concat(parts)
}

// Each a list of fragments; some come again, so that the window is of use.
function conversation () {
  const messages = []
  for (let n = r.between(1, 8); n > 0; n--) {
    const whole = r.one(0.3) && messages.length ? Buffer.concat(r.pick(messages)) : message()
    const fragments = r.one(0.6) ? [whole] : r.cut(whole)
    if (r.one(0.1)) fragments.splice(r.below(fragments.length + 1), 0, Buffer.alloc(0))
    messages.push(fragments.length ? fragments : [whole])
  }
  return messages
}

const hex = fragments => fragments.map(one => one.toString('hex'))
const joined = fragments => Buffer.concat(fragments).toString('hex')

// --- The other side ----------------------------------------------------------------------------

const call = (side, method, data, fin) =>
  new Promise((resolve, reject) => side[method](data, fin, (error, result) => error ? reject(error) : resolve(result)))

// The client of a connection whose server is ours, or the other way round.
function peer (isServer, bits, forget, options = {}) {
  const side = new PerMessageDeflate({ isServer, ...options })
  side.params = {
    server_max_window_bits: bits,
    client_max_window_bits: bits,
    server_no_context_takeover: forget,
    client_no_context_takeover: forget
  }
  return side
}

async function compressed (side, messages) {
  const results = []
  for (const fragments of messages) {
    const result = []
    for (const [i, fragment] of fragments.entries()) {
      result.push(await call(side, 'compress', fragment, i + 1 === fragments.length))
    }
    results.push(result)
  }
  return results
}

async function inflated (side, messages) {
  const results = []
  for (const fragments of messages) {
    const result = []
    for (const [i, fragment] of fragments.entries()) {
      result.push(await call(side, 'decompress', fragment, i + 1 === fragments.length))
    }
    results.push(joined(result))
  }
  return results
}

function settings () {
  return { bits: r.between(8, 15), forget: r.one(0.4), level: r.between(1, 9), memory: r.between(1, 9), release: r.one(0.3) }
}

const CONVERSATIONS = Math.ceil(250 * scale)

test(`what we compress, seed ${seed}`, { skip }, async t => {
  const cases = Array.from({ length: CONVERSATIONS }, () => ({ ...settings(), messages: conversation() }))
  const found = await throughTool('deflate', cases.map(({ messages, ...given }) =>
    JSON.stringify({ ...given, deflate: messages.map(hex) })))
  for (const [i, { messages, bits, forget }] of cases.entries()) {
    const side = peer(r.one(0.5), bits, forget)
    const theirs = await inflated(side, found[i].map(fragments => fragments.map(one => Buffer.from(one, 'hex'))))
    side.cleanup()
    assert.deepEqual(theirs, messages.map(joined))
  }
})

test('what ws compresses', { skip }, async t => {
  const cases = []
  const lines = []
  for (let i = 0; i < CONVERSATIONS; i++) {
    const { bits, forget, level, memory, release } = settings()
    const messages = conversation()
    const side = peer(r.one(0.5), bits, forget, { zlibDeflateOptions: { level: r.one(0.1) ? 0 : level, memLevel: memory } })
    const theirs = await compressed(side, messages)
    side.cleanup()
    // A frame comes in pieces.
    const pieces = theirs.map(fragments => fragments.flatMap(one => one.length ? r.cut(one) : [one]))
    lines.push(JSON.stringify({ bits, forget, release, inflate: pieces.map(hex) }))
    cases.push(messages)
  }
  const found = await throughTool('deflate', lines)
  for (const [i, messages] of cases.entries()) assert.deepEqual(found[i], messages.map(joined))
})

test('empty messages are the byte that ws sends', { skip }, async t => {
  const messages = [[''], ['61'], [''], [''], ['', ''], ['61', '']]
  for (const forget of [false, true]) {
    const [ours] = await throughTool('deflate', [JSON.stringify({ deflate: messages, forget })])
    const theirs = await compressed(peer(true, 15, forget), messages.map(list => list.map(one => Buffer.from(one, 'hex'))))
    assert.deepEqual(ours, theirs.map(hex))
  }
})

test('the limit', { skip }, async t => {
  const cases = []
  for (const size of [1, 2, 1000, 4095, 4096, 4097, 8192, 100_000]) {
    for (const limit of [size - 1, size, size + 1]) {
      if (limit > 0) cases.push([size, limit])
    }
  }
  const bombs = []
  for (const [size] of cases) bombs.push(await compressed(peer(false, 15, false), [[Buffer.alloc(size)]]))
  const found = await throughTool('deflate', cases.map(([, limit], i) =>
    JSON.stringify({ inflate: bombs[i].map(hex), limit })))
  for (const [i, [size, maxPayload]] of cases.entries()) {
    const side = peer(true, 15, false, { maxPayload })
    const theirs = await inflated(side, bombs[i]).catch(error => error.code)
    assert.deepEqual(found[i], size > maxPayload ? ['EMSGSIZE'] : ['00'.repeat(size)])
    assert.deepEqual(theirs, size > maxPayload ? 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' : found[i])
  }
})

// ws delivers what there was of a message that breaks off, and ignores what follows a last block (RFC 7692 7.2.3.4): so
// there we may refuse more, or know more; but what ws refuses is refused, and what we deliver begins as ws has it.
test('data that is broken', { skip }, async t => {
  const cases = []
  for (let i = 0; i < 4 * CONVERSATIONS; i++) {
    const forget = r.one(0.5)
    const messages = conversation().map(fragments => [Buffer.concat(fragments).subarray(0, 2000)])
    const broken = (await compressed(peer(false, 15, forget), messages)).map(([data]) => {
      if (r.one(0.5)) return data
      const copy = Buffer.from(data)
      for (let n = r.between(1, 3); n > 0; n--) copy[r.below(copy.length)] ^= 1 << r.below(8)
      return r.one(0.1) ? copy.subarray(0, r.between(1, copy.length)) : copy
    })
    cases.push({ forget, broken })
  }
  const found = await throughTool('deflate', cases.map(({ forget, broken }) =>
    JSON.stringify({ forget, inflate: broken.map(one => [one.toString('hex')]) })))
  const count = { good: 0, refused: 0, stricter: 0 }
  for (const [i, { forget, broken }] of cases.entries()) {
    const side = peer(true, 15, forget)
    for (const [j, data] of broken.entries()) {
      const ours = found[i][j]
      const theirs = await call(side, 'decompress', data, true).then(result => result.toString('hex'), error => error)
      if (ours === 'EILSEQ') {
        if (theirs instanceof Error) assert.equal(theirs.code, 'Z_DATA_ERROR')
        count[theirs instanceof Error ? 'refused' : 'stricter']++
        break // as the connection would end
      }
      assert.ok(!(theirs instanceof Error), `${theirs}: ${broken.map(one => one.toString('hex'))}`)
      assert.ok(ours.startsWith(theirs))
      count.good++
      if (ours !== theirs || !side._inflate) break // a last block, after which ws has an empty window
    }
    side.cleanup()
  }
  t.diagnostic(JSON.stringify(count))
  for (const kind of Object.keys(count)) assert.ok(count[kind] > CONVERSATIONS / 20, kind)
})
