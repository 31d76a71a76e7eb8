// The example that takes large files: in Chromium, and by clients that don't behave.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { chromium } from 'playwright-core'
import { FormData, File, fetch } from 'undici'
import { WebSocket } from 'ws'
import { PATIENCE, build, eventually, startServer, withPatience } from './support.mjs'
import { chance } from './traffic/chance.mjs'

const skip = existsSync(`${build}/examples/upload`) ? false : 'this build has no JSON'
const executablePath = process.env.CHROMIUM || '/usr/bin/chromium'
const MIB = 1024 * 1024

let server, uploads
before(async () => {
  if (skip) return
  uploads = await mkdtemp(path.join(tmpdir(), 'acacia-upload-'))
  server = await startServer('upload', { env: { UPLOADS: uploads } })
})
after(() => uploads && rm(uploads, { recursive: true }))

const bytes = (length, seed) => Buffer.alloc(length, chance('upload', seed).bytes(9973))
const kept = async () => (await readdir(uploads)).filter(name => name[0] !== '.').sort()
const coming = () => readdir(path.join(uploads, '.incoming'))

async function upload (...files) {
  const form = new FormData()
  for (const [name, data] of files) form.append('file', new File([data], name))
  const response = await fetch(`${server.url}/files`, { method: 'POST', body: form })
  return { status: response.status, text: await response.text() }
}

async function clear () {
  for (const name of await kept()) await rm(path.join(uploads, name))
}

test('names are safe, and nobody\'s file is replaced', { skip }, async () => {
  const names = ['photo.jpg', 'photo.jpg', '../../etc/passwd', '.profile', '-rf', 'a b;$(c).txt', '..', 'naïve 🌳.png']
  const { status, text } = await upload(...names.map((name, i) => [name, String(i)]))
  assert.equal(status, 201)
  const expected = ['photo.jpg', '2-photo.jpg', 'passwd', '_profile', '_rf', 'a_b___c_.txt', 'file', 'naïve_🌳.png']
  assert.deepEqual(JSON.parse(text), expected)
  assert.deepEqual(await kept(), [...expected].sort())
  for (const [i, name] of expected.entries()) assert.equal(await readFile(path.join(uploads, name), 'utf8'), String(i))
  const list = await (await fetch(`${server.url}/files`)).json()
  assert.deepEqual(list.map(file => file.name).sort(), [...expected].sort())
  for (const name of expected) {
    const response = await fetch(`${server.url}/files/${encodeURIComponent(name)}`)
    assert.equal(await response.text(), String(expected.indexOf(name)))
    assert.match(response.headers.get('content-disposition'), /^attachment; /)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  }
  await clear()
})

test('only what was uploaded can be downloaded', { skip }, async () => {
  for (const name of ['none', '..%2F..%2Fetc%2Fpasswd', '%2e%2e', '.incoming', '.incoming%2Fx', '%2Fetc%2Fpasswd', 'a%5Cb', 'hidden/../../x']) {
    const [response] = await once(http.get({ port: server.port, path: `/files/${name}` }), 'response')
    response.resume()
    assert.ok([400, 403, 404].includes(response.statusCode), `${name}: ${response.statusCode}`)
  }
})

test('a download that broke off goes on', { skip }, async () => {
  const data = bytes(3 * MIB, 7)
  await upload(['large.bin', data])
  await utimes(path.join(uploads, 'large.bin'), 1e9, 1e9) // what has just changed has no strong tag
  const url = `${server.url}/files/large.bin`
  const whole = await fetch(url)
  const etag = whole.headers.get('etag')
  assert.ok(Buffer.from(await whole.arrayBuffer()).equals(data))
  const rest = await fetch(url, { headers: { Range: `bytes=${MIB}-`, 'If-Range': etag } })
  assert.deepEqual([rest.status, rest.headers.get('content-range')], [206, `bytes ${MIB}-${3 * MIB - 1}/${3 * MIB}`])
  assert.match(rest.headers.get('content-disposition'), /^attachment; filename="large.bin"/)
  assert.ok(Buffer.from(await rest.arrayBuffer()).equals(data.subarray(MIB)))
  const changed = await fetch(url, { headers: { Range: `bytes=${MIB}-`, 'If-Range': '"another"' } })
  assert.equal(changed.status, 200) // it is another file: from its beginning
  await changed.arrayBuffer()
  await clear()
})

test('nothing is sent in place of another file', { skip }, async () => {
  await upload(['a.txt', 'itself'], ['a.txt.gz', 'no gzip'], ['a.txt.br', 'no br'], ['index.html', '<p>a page'])
  const response = await fetch(`${server.url}/files/a.txt`, { headers: { 'Accept-Encoding': 'gzip, br' } })
  assert.equal(await response.text(), 'itself')
  assert.match(await (await fetch(`${server.url}/files/`)).text(), /^\[/) // the list
  await clear()
})

test('what is not expected is refused', { skip }, async () => {
  const form = new FormData()
  form.append('other', new File(['x'], 'x'))
  const response = await fetch(`${server.url}/files`, { method: 'POST', body: form })
  assert.deepEqual([response.status, await response.text()], [400, 'Unexpected file field'])
  assert.equal((await upload(...Array.from({ length: 11 }, (_, i) => [`${i}`, 'x']))).status, 400)
  const request = http.request(`${server.url}/files`, {
    method: 'POST', headers: { 'Content-Type': 'multipart/form-data; boundary=b', 'Content-Length': 2048 * MIB + 1, Expect: '100-continue' }
  })
  request.on('error', () => {}).flushHeaders()
  const [answer] = await withPatience(once(request, 'response'), 'an answer before the body')
  assert.equal(answer.statusCode, 413)
  request.destroy()
  assert.deepEqual([await kept(), await coming()], [[], []])
})

// A socket that sees how an upload goes.
async function watch (id) {
  const socket = new WebSocket(`${server.ws}/progress/${id}`)
  const seen = []
  socket.on('message', data => seen.push(JSON.parse(data)))
  await withPatience(once(socket, 'open'), 'open')
  await eventually(() => seen[0]?.watching, 'it is watching')
  return { socket, seen }
}

test('a socket tells how it goes', { skip }, async () => {
  const { socket, seen } = await watch('abc')
  const body = Buffer.concat([Buffer.from('--b\r\nContent-Disposition: form-data; name="file"; filename="large"\r\n\r\n'), bytes(8 * MIB, 1), Buffer.from('\r\n--b--\r\n')])
  const request = http.request(`${server.url}/files?id=abc`, { method: 'POST', headers: { 'Content-Type': 'multipart/form-data; boundary=b', 'Content-Length': body.length } })
  const answered = once(request, 'response')
  for (let at = 0; at < body.length; at += MIB) {
    request.write(body.subarray(at, at + MIB))
    await eventually(() => (seen.at(-1).received || 0) >= Math.min(at + MIB, body.length) - MIB / 2, 'it is told')
  }
  request.end()
  const [response] = await withPatience(answered, 'the answer')
  assert.equal(response.statusCode, 201)
  response.resume()
  await eventually(() => seen.at(-1).received === body.length, 'all of it')
  const progress = seen.slice(1)
  assert.ok(progress.length >= 8 && progress.length <= 101, `${progress.length} messages`)
  progress.forEach((message, i) => {
    assert.equal(message.total, body.length)
    assert.ok(i === 0 || message.received > progress[i - 1].received)
  })
  assert.ok((await readFile(path.join(uploads, 'large'))).equals(bytes(8 * MIB, 1)))
  socket.close()
  await clear()
})

test('an id belongs to one page', { skip }, async () => {
  const { socket } = await watch('mine')
  for (const id of ['mine', 'x'.repeat(41)]) {
    const other = new WebSocket(`${server.ws}/progress/${id}`)
    const [error] = await withPatience(once(other, 'error'), 'it is refused')
    assert.match(error.message, /400/)
  }
  socket.close()
  await withPatience(once(socket, 'close'), 'closed')
  ;(await watch('mine')).socket.close()
})

test('an upload that breaks off leaves nothing behind', { skip }, async () => {
  const request = http.request(`${server.url}/files`, { method: 'POST', headers: { 'Content-Type': 'multipart/form-data; boundary=b', 'Content-Length': 5 * MIB } })
  request.on('error', () => {})
  request.write('--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n')
  request.write(bytes(MIB, 1))
  await eventually(async () => (await coming()).length === 1, 'it comes in')
  request.destroy()
  await eventually(async () => (await coming()).length === 0, 'it is gone')
  assert.deepEqual(await kept(), [])
})

describe('the page', { skip: skip || (existsSync(executablePath) ? false : `no browser at ${executablePath} (apt install chromium)`) }, () => {
  let browser, page
  const complaints = []
  before(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
    page = await browser.newPage()
    page.setDefaultTimeout(PATIENCE)
    page.on('console', message => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()))
    page.on('pageerror', error => complaints.push(String(error)))
    await page.goto(server.url)
  })
  after(() => browser?.close())

  // Files that the browser finds on the disk.
  async function choose (...files) {
    const directory = path.join(uploads, '.chosen')
    await mkdir(directory, { recursive: true })
    for (const [name, data] of files) await writeFile(path.join(directory, name), data)
    await page.setInputFiles('#files', files.map(([name]) => path.join(directory, name)))
  }

  const state = text => eventually(async () => await page.textContent('#state') === text, async () => `"${text}" on the page`)
  const files = () => page.locator('#list li').allInnerTexts()

  test('two files, and how far they are', async () => {
    await choose(['tree.png', bytes(12 * MIB, 2)], ['<img src=x onerror=alert(1)>.txt', 'leaves'])
    await state('stored as tree.png, _img_src=x_onerror=alert_1__.txt')
    await eventually(async () => (await files()).length === 2, 'two files')
    assert.deepEqual(await page.locator('output').allInnerTexts(), ['100 %', '100 %'])
    assert.deepEqual((await files()).map(text => text.replace(/\s+/g, ' ')).sort(), ['_img_src=x_onerror=alert_1__.txt 6 bytes', 'tree.png 12.0 MiB'])
    assert.ok((await readFile(path.join(uploads, 'tree.png'))).equals(bytes(12 * MIB, 2)))
    assert.equal(await page.locator('#list img').count(), 0)
  })

  test('a download is the same again', async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#list a:text("tree.png")')])
    assert.equal(download.suggestedFilename(), 'tree.png')
    assert.ok((await readFile(await download.path())).equals(bytes(12 * MIB, 2)))
  })

  // Between the browser and the server, to cut what the server sends after so many bytes of the first connections.
  async function cutting (...lengths) {
    const heads = []
    const proxy = net.createServer(client => {
      const upstream = net.connect(server.port, '127.0.0.1')
      const ends = () => { client.destroy(); upstream.destroy() }
      let left = Infinity
      client.on('data', data => {
        if (/^GET \/files\/[^ ]/.test(data)) {
          heads.push(data.toString())
          left = lengths[heads.length - 1] ?? Infinity
        }
        upstream.write(data)
      }).on('error', ends).on('close', ends)
      upstream.on('data', data => {
        client.write(data.subarray(0, Math.min(left, data.length)))
        left -= data.length
        if (left <= 0) client.destroySoon()
      }).on('error', ends).on('close', ends)
    })
    await once(proxy.listen(0, '127.0.0.1'), 'listening')
    return { heads, url: `http://127.0.0.1:${proxy.address().port}`, stop: () => proxy.close() }
  }

  test('a download that is cut, and cut again, goes on where it stopped', async t => {
    await utimes(path.join(uploads, 'tree.png'), 1e9, 1e9) // what has just changed has no strong tag
    const proxy = await cutting(5 * MIB, 3 * MIB)
    t.after(() => proxy.stop())
    const other = await browser.newPage()
    t.after(() => other.close())
    await other.goto(proxy.url)
    const [download] = await Promise.all([other.waitForEvent('download'), other.click('#list a:text("tree.png")')])
    assert.ok((await readFile(await withPatience(download.path(), 'the whole file'))).equals(bytes(12 * MIB, 2)))
    const field = name => proxy.heads.map(head => new RegExp(`^${name}: (.*)\r`, 'im').exec(head)?.[1])
    const [, first, second] = field('range').map(range => Number(/^bytes=(\d+)-/.exec(range)?.[1]))
    assert.equal(proxy.heads.length, 3)
    // How much it has kept of what came is the browser's affair.
    assert.ok(first > 0 && first < 5 * MIB && first < second && second < 8 * MIB, `${first}, ${second}`)
    assert.deepEqual(field('if-range').map(Boolean), [false, true, true])
  })

  test('a socket tells the page how a large upload goes', async () => {
    const frames = []
    page.once('websocket', socket => socket.on('framereceived', ({ payload }) => frames.push(JSON.parse(payload))))
    const session = await page.context().newCDPSession(page) // a slow line, so that there is something to see
    await session.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 16 * MIB })
    await choose(['huge', bytes(32 * MIB, 4)])
    const shown = new Set()
    await eventually(async () => {
      shown.add(await page.textContent('#storedText'))
      return (await page.textContent('#state')) === 'stored as huge'
    }, 'it is stored')
    await session.detach()
    assert.ok([...shown].some(text => parseInt(text) > 0 && parseInt(text) < 100), [...shown].join())
    assert.equal(frames[0].watching, true)
    const received = frames.slice(1).map(frame => frame.received)
    assert.deepEqual(received, [...new Set(received)].sort((a, b) => a - b))
    assert.ok(received.length > 10 && received.at(-1) > 32 * MIB, received.join())
    assert.ok((await readFile(path.join(uploads, 'huge'))).equals(bytes(32 * MIB, 4)))
  })

  test('a file by drag and drop', async () => {
    const data = await page.evaluateHandle(() => {
      const data = new DataTransfer() // eslint-disable-line no-undef
      data.items.add(new File(['dropped'], 'drop.txt')) // eslint-disable-line no-undef
      return data
    })
    await page.dispatchEvent('#drop', 'drop', { dataTransfer: data })
    await state('stored as drop.txt')
    assert.equal(await readFile(path.join(uploads, 'drop.txt'), 'utf8'), 'dropped')
  })

  test('one that is cancelled', async () => {
    const session = await page.context().newCDPSession(page) // a slow line, so that there is something to cancel
    await session.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: MIB / 4 })
    await choose(['late', bytes(8 * MIB, 3)])
    await eventually(async () => (await coming()).length === 1, 'it comes in')
    await page.click('#cancel')
    await state('failed: cancelled')
    await eventually(async () => (await coming()).length === 0, 'it is gone')
    assert.ok(!(await kept()).includes('late'))
    await session.detach()
  })

  test('nothing was complained about', () => assert.deepEqual(complaints, []))
})

test('it ends as it should', { skip }, () => server.stop())
