// What is too big for memory goes through without being kept there: files, streams, uploads.

import assert from 'node:assert/strict'
import { mkdtemp, open, readFile, rm, truncate } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, startServer } from './support.mjs'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const MORE = 8 * MIB // so much more memory the server may take

let server, folder

// What of the server's memory is real, now; Linux only.
async function memory () {
  const status = await readFile(`/proc/${server.child.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) * KIB
}

function get (path) {
  return new Promise((resolve, reject) => {
    const request = http.get(server.url + path, { agent: false }, resolve)
    request.on('error', reject)
  })
}

async function text (path) {
  let all = ''
  for await (const chunk of await get(path)) all += chunk
  return all
}

// The most that the server takes beyond `base` while `work` goes on.
async function growth (base, work) {
  let most = 0
  let done = false
  const watch = (async () => {
    while (!done) {
      most = Math.max(most, await memory() - base)
      await sleep(20)
    }
  })()
  await work()
  done = true
  await watch
  return most
}

// Read up to `limit` bytes, with a rest of a few milliseconds after every 16 MiB, and long ones in the beginning.
async function readSlowly (response, limit = Infinity) {
  let length = 0
  let rests = 0
  for await (const chunk of response) {
    length += chunk.length
    if (length >= limit) break
    if (length >= rests * 16 * MIB) await sleep(rests++ < 5 ? 100 : 5)
  }
  response.destroy()
  return length
}

describe('what is too big for memory', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'acacia-bulk-'))
    const file = path.join(folder, 'big.bin')
    await (await open(file, 'w')).close()
    await truncate(file, 2 * GIB) // its blocks need not exist
    // The sanitizer keeps what was freed for a while, which is not what is measured here.
    const ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=1`
    server = await startServer('tests/support/bulk_server', { env: { FILE: file, ASAN_OPTIONS } })
    await readSlowly(await get('/endless'), 32 * MIB) // what is pooled, and the threads that read files
    await readSlowly(await get('/file'), 32 * MIB)
    await eventually(async () => await text('/stats') === '1 1 0', 'the server is at rest')
  })

  after(async () => {
    await server.stop()
    await rm(folder, { recursive: true })
  })

  test('a file of 2 GiB to a slow reader', async () => {
    const base = await memory()
    const most = await growth(base, async () => {
      const response = await get('/file')
      assert.equal(response.headers['content-length'], String(2 * GIB))
      assert.equal(await readSlowly(response), 2 * GIB)
    })
    assert.ok(most < MORE, `${(most / MIB).toFixed(1)} MiB more`)
  })

  for (const kind of ['/endless', '/written']) {
    test(`a stream without an end to a slow reader: ${kind}`, async () => {
      const base = await memory()
      const most = await growth(base, async () => {
        const response = await get(kind)
        assert.equal(response.headers['transfer-encoding'], 'chunked')
        await readSlowly(response, 256 * MIB)
      })
      assert.ok(most < MORE, `${(most / MIB).toFixed(1)} MiB more`)
      await eventually(async () => await text('/stats') === '1 1 0', 'it ends with its reader')
    })
  }

  test('fifty readers that take nothing', async () => {
    const base = await memory()
    const most = await growth(base, async () => {
      const responses = await Promise.all(Array.from({ length: 50 }, () => get('/endless')))
      await sleep(300)
      for (const response of responses) response.destroy()
    })
    assert.ok(most < 50 * 1 * MIB, `${(most / MIB).toFixed(1)} MiB more`) // a stack, a buffer, a high-water mark each
    await eventually(async () => await text('/stats') === '1 1 0', 'they end with their readers')
  })

  test('an upload of 1 GiB, piece by piece', async () => {
    const chunk = Buffer.alloc(MIB, 3)
    const base = await memory()
    let answer = ''
    const most = await growth(base, () => new Promise((resolve, reject) => {
      const request = http.request(`${server.url}/upload`, { method: 'POST', agent: false }, response => {
        response.setEncoding('utf8').on('data', text => { answer += text }).on('end', resolve)
      })
      request.on('error', reject)
      let sent = 0
      const send = () => {
        while (sent < GIB) {
          sent += MIB
          if (!request.write(chunk)) return request.once('drain', send)
        }
        request.end()
      }
      send()
    }))
    assert.equal(answer, `${GIB} ${3 * GIB}`)
    assert.ok(most < MORE, `${(most / MIB).toFixed(1)} MiB more`)
  })
})
