// Forms whose names nest against npm's qs. SEED=n for other forms, SCALE=n for n times as many.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import readline from 'node:readline'
import { test } from 'node:test'
import qs from 'qs'
import { build } from './support.mjs'
import { chance, scale } from './traffic/chance.mjs'

const program = `${build}/tests/tools/form`
const skip = existsSync(program) ? false : 'this build has no JSON'
const FORMS = Math.ceil(4_000 * scale)
const { below, one, pick } = chance('forms')
const times = (n, fn) => Array.from({ length: n }, fn)

// --- Forms -------------------------------------------------------------------------------------

const words = ['a', 'a', 'a', 'b', 'b', 'c', 'x y', 'é', '0', '1', '2', '19', '20', '21', '07', '-1', '999', '',
  'toString', '__proto__', 'constructor', 'length', '🌳', '%', '+']

const bracket = () => {
  const kind = below(20)
  if (kind < 6) return '[]'
  if (kind < 17) return `[${pick(words)}]`
  return pick(['[', ']', '[[', ']]', `[${pick(words)}`, `[a[${pick(words)}]]`, `x[${pick(words)}]`, `[a.${pick(words)}]`])
}

const dot = () => pick(['.', '.', '.', '..', '.[', '.a]']) + pick(words)

function name () {
  if (one(0.03)) return times(below(9), () => pick(['a', '[', ']', '.', '0'])).join('')
  return (one(0.9) ? pick(words) : '') + times(below(one(0.1) ? 40 : 5), () => one(0.7) ? bracket() : dot()).join('')
}

// A '=' in a name is never left as it is: qs would split at the first "]=".
const encode = string => one(0.5)
  ? encodeURIComponent(string).replace(/%20/g, '+')
  : string.replace(/[%+&=]/g, encodeURIComponent).replace(/ /g, '+')

function form () {
  const names = times(1 + below(6), name)
  const pairs = times(below(one(0.1) ? 60 : 9), () => {
    const pair = encode(one(0.8) ? pick(names) : name())
    return one(0.05) ? pair || 'a' : `${pair}=${encode(pick(['', '1', '2', 'z', 'x=y', 'a b', 'ü']))}`
  })
  return pairs.join('&')
}

const options = () => one(0.5)
  ? { dots: one(0.5) }
  : { dots: one(0.5), depth: pick([1, 2, 5, 20, 32]), items: pick([1, 2, 3, 20, 50]), pairs: pick([1, 3, 10, 1000]) }

// --- The test ----------------------------------------------------------------------------------

test('forms nest as by qs', { skip }, async () => {
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  for (let i = 0; i < FORMS; i++) {
    const given = { text: form(), ...options() }
    child.stdin.write(JSON.stringify(given) + '\n')
    const expected = qs.parse(given.text, {
      allowDots: given.dots,
      depth: given.depth ?? 5,
      arrayLimit: given.items ?? 20,
      parameterLimit: given.pairs ?? 1000
    })
    const { value } = await answers.next()
    assert.deepEqual(JSON.parse(value), JSON.parse(JSON.stringify(expected)), JSON.stringify(given))
  }
  child.stdin.end()
  assert.deepEqual(await once(child, 'close'), [0, null])
})
