// slowhttptest (apt install slowhttptest), with all that it can do, at once: slow heads, slow bodies, slow readers, ranges.
// It says itself that the service was available throughout; another client was served as well.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { isServed, start } from './hostile.mjs'
import { MIB, statsOf } from './peer.mjs'
import { eventually, withPatience } from './support.mjs'

const SECONDS = Number(process.env.SECONDS ?? 6)
const skip = spawnSync('slowhttptest', ['-h']).error ? 'no slowhttptest (apt install slowhttptest)' : false

const attacks = {
  'slow heads': ['-H', '-c', '250', '-r', '125', '-i', '1', '-x', '24', '-t', 'GET'],
  'slow bodies': ['-B', '-c', '250', '-r', '125', '-i', '1', '-x', '10', '-s', '8192', '-t', 'POST'],
  'slow readers': ['-X', '-c', '150', '-r', '75', '-w', '10', '-y', '20', '-n', '1', '-z', '5', '-k', '3'],
  ranges: ['-R', '-c', '150', '-r', '75', '-a', '10', '-b', '3000', '-t', 'HEAD']
}
const urls = { 'slow bodies': '/echo', 'slow heads': '/text' }

describe('slowhttptest', { skip }, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'acacia-slow-'))
  after(() => fs.rmSync(folder, { recursive: true, force: true }))
  let server, first
  let over = false
  let most = 0
  let witness

  before(async () => {
    fs.writeFileSync(path.join(folder, 'large'), Buffer.alloc(MIB))
    server = await start({ FOLDER: folder, HEAD_TIMEOUT: '2000', REQUEST_TIMEOUT: '3000', DEBUG: '' })
    first = await statsOf(server)
    witness = (async () => {
      while (!over) {
        await isServed(server)
        most = Math.max(most, (await statsOf(server)).connections)
      }
    })()
    witness.catch(() => {})
  })

  describe('all at once', { concurrency: true }, () => {
    for (const [name, options] of Object.entries(attacks)) {
      test(name, async () => {
        const url = `http://127.0.0.1:${server.port}${urls[name] ?? '/large'}`
        const child = spawn('slowhttptest', [...options, '-l', String(SECONDS), '-p', '3', '-u', url])
        let text = ''
        child.stdout.setEncoding('latin1').on('data', data => { text += data })
        child.stderr.resume()
        await withPatience(once(child, 'close'), () => `its end: ${text}`, SECONDS * 1000 + 20_000)
        const plain = text.replace(/\x1b\[[\d;]*[A-Za-z]/g, '') // eslint-disable-line no-control-regex
        assert.match(plain, /service available: +YES/)
        assert.doesNotMatch(plain, /service available: +NO/)
        assert.match(plain, /Exit status: (No open connections left|Hit test time limit)/)
      })
    }
  })

  test('others were served, and nothing is left', async () => {
    over = true
    await witness
    assert.ok(most > 300, `${most} connections at once`)
    let last
    await eventually(async () => (last = await statsOf(server)).connections === 0, () => `the end of all: ${JSON.stringify(last)}`)
    assert.ok(last.rss - first.rss < 64 * MIB, `it grew by ${(last.rss - first.rss) >> 10} KiB`)
    assert.ok(last.closed.HEAD_TIMEOUT > 0 && last.closed.REQUEST_TIMEOUT > 0, JSON.stringify(last.closed))
    await server.stop()
  })
})
