// The pages of the examples, in a browser: what one types, what one sees, and that nothing else runs.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { chromium } from 'playwright-core'
import { WebSocket } from 'ws'
import { overTLS } from './over_tls.mjs'
import { PATIENCE, eventually, startServer } from './support.mjs'

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium'
const skip = fs.existsSync(executablePath) ? false : `no browser at ${executablePath} (apt install chromium)`

const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']
const PHONE = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }

let browser
before(async () => { if (!skip) browser = await chromium.launch({ executablePath, args }) })
after(() => browser?.close())

const visit = (page, url) => page.goto(overTLS ? url.replace('http:', 'https:') : url)

// A window of somebody's own. `complaints` is what its console says of errors.
async function open (url, options) {
  const context = await browser.newContext({ ignoreHTTPSErrors: overTLS, ...options })
  context.setDefaultTimeout(PATIENCE)
  const page = await context.newPage()
  page.complaints = []
  page.logged = []
  page.on('console', message => {
    page.logged.push(message.text())
    if (['error', 'warning'].includes(message.type())) page.complaints.push(message.text())
  })
  page.on('pageerror', error => page.complaints.push(String(error)))
  page.on('dialog', dialog => { page.complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss() })
  page.on('response', response => { if (response.status() >= 400) page.complaints.push(`${response.status()} ${response.url()}`) })
  await visit(page, url)
  return page
}

async function close (...pages) {
  for (const page of pages) {
    assert.deepEqual(page.complaints, [])
    await page.context().close()
  }
}

const lines = async (page, selector) => (await page.locator(selector).allInnerTexts()).map(text => text.trim())

async function shows (page, selector, expected) {
  let seen
  await eventually(async () => {
    seen = await lines(page, selector)
    return JSON.stringify(seen) === JSON.stringify(expected)
  }, () => `${selector} shows ${JSON.stringify(expected)}, but ${JSON.stringify(seen)}`)
}

// Servers that a test started, which end with it.
async function withServer (name, fn, options) {
  const server = await startServer(name, options)
  await fn(server)
  await server.stop()
}

// --- The tutorials' pages ------------------------------------------------------------------------

describe('routes', { skip }, () => {
  test('typed text comes back, and 关闭 closes', () => withServer('routes', async server => {
    const page = await open(server.url)
    await shows(page, '#log li', ['服务端说第一条数据'])
    for (const text of ['hello', '你好 🌳', '<img src=x onerror=alert(1)>']) {
      await page.fill('#pl', text)
      await page.click('#submit')
    }
    const said = ['服务端说第一条数据', '服务端说hello', '服务端说你好 🌳', '服务端说<img src=x onerror=alert(1)>']
    await shows(page, '#log li', said)
    await page.click('#close')
    await shows(page, '#log li', [...said, 'Connection closed.'])
    assert.deepEqual(page.logged, [...said, 'Connection closed.'])
    assert.equal(await page.evaluate(() => webSocket.readyState), 3) // eslint-disable-line no-undef
    await close(page)
  }))
})

describe('request', { skip }, () => {
  const shown = (page, ...expected) => eventually(
    async () => await page.textContent('#log') === expected.map(line => line + '\n').join(''), `${expected} on the page`)
  const opened = 'onopen-连接建立成功'
  const welcome = 'ws服务端连接成功！'

  test('the query is shown', () => withServer('request', async server => {
    const page = await open(`${server.url}/?name=ada&id=1&id=2`)
    await shown(page, opened, welcome, '{"query":{"name":"ada","id":["1","2"]}}')
    await visit(page, server.url)
    await shown(page, opened, welcome, '{"query":{}}')
    await page.click('a')
    await shown(page, opened, welcome, '{"query":{"name":"ada","id":["1","2"]}}')
    await visit(page, `${server.url}/?html=<b>名</b>`)
    await shown(page, opened, welcome, '{"query":{"html":"<b>名</b>"}}')
    assert.equal(await page.locator('#log b').count(), 0)
    await close(page)
  }))
})

// --- The poll ------------------------------------------------------------------------------------

describe('poll', { skip }, () => {
  test('a vote is seen on all pages', () => withServer('poll', async server => {
    const result = (page, text) => eventually(async () => await page.textContent('#result') === text, `${text} on the page`)
    const one = await open(server.url)
    const other = await open(server.url)
    await result(one, 'tea 0, coffee 0, water 0')
    await one.click('text=coffee')
    await eventually(async () => await one.textContent('#yours') === 'you chose coffee', 'the answer')
    await result(one, 'tea 0, coffee 1, water 0')
    await result(other, 'tea 0, coffee 1, water 0')
    await one.click('text=water') // the cookie remembers the first vote
    await result(other, 'tea 0, coffee 0, water 1')
    await close(one)
    await close(other)
  }))
})

// --- https ---------------------------------------------------------------------------------------

describe('secure', { skip }, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'acacia-secure-'))
  after(() => fs.rmSync(folder, { recursive: true }))

  test('two windows chat by wss; the redirect leads there', () => withServer('secure', async server => {
    const ada = await open(server.url, { ignoreHTTPSErrors: true })
    await shows(ada, '#log li', ['You are guest 1, by TLSv1.3 with TLS_AES_128_GCM_SHA256'])
    const http = /^redirecting from (http:.*)$/m.exec(server.stdout)[1]
    const bob = await open('about:blank', { ignoreHTTPSErrors: true })
    await bob.goto(http)
    assert.equal(bob.url(), `https://127.0.0.1:${server.port}/`)
    await shows(bob, '#log li', ['You are guest 2, by TLSv1.3 with TLS_AES_128_GCM_SHA256'])
    assert.equal(await bob.evaluate(() => isSecureContext), true) // eslint-disable-line no-undef
    await bob.fill('#text', 'hello <b>')
    await bob.click('#send')
    await shows(ada, '#log li', ['You are guest 1, by TLSv1.3 with TLS_AES_128_GCM_SHA256', 'guest 2: hello <b>'])
    await close(ada, bob)
  }, { env: { CERTIFICATES: folder, HTTP_PORT: '0' } }))

  test('the warning of a certificate that nobody vouches for', () => withServer('secure', async server => {
    const context = await browser.newContext()
    const page = await context.newPage()
    await assert.rejects(page.goto(`https://127.0.0.1:${server.port}/`), /ERR_CERT_AUTHORITY_INVALID/)
    await context.close()
  }, { env: { CERTIFICATES: folder } }))
})

// --- The chat ------------------------------------------------------------------------------------

describe('chat', { skip }, () => {
  const at = {}
  before(async () => { if (!skip) at.server = await startServer('chat') })
  after(() => at.server?.stop())

  const online = page => page.locator('#state.open').waitFor()

  // As people come: through the door.
  async function join (name, room, options) {
    const page = await open(at.server.url, options)
    await page.fill('#name', name)
    await page.fill('#room', room)
    await page.click('#door button')
    await online(page)
    await page.locator('.note', { hasText: 'You are here as' }).waitFor()
    return page
  }

  async function say (page, text) {
    await page.fill('#text', text)
    await page.press('#text', 'Enter')
    await eventually(async () => await page.inputValue('#text') === '', 'it is sent')
  }

  // The messages, as those who see them: without time, and without a name where it is one's own.
  const messages = async page => page.locator('.message').evaluateAll(items => items.map(item =>
    [item.querySelector('b').textContent, item.querySelector('span').textContent, item.classList.contains('mine')]))

  async function hears (page, expected) {
    let seen
    await eventually(async () => {
      seen = await messages(page)
      return JSON.stringify(seen) === JSON.stringify(expected)
    }, () => `${JSON.stringify(expected)} is heard, but ${JSON.stringify(seen)}`)
  }

  const fits = page => page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement
    return scrollWidth <= clientWidth
  })

  test('two windows chat', async () => {
    const ada = await join('Ada', 'lobby')
    assert.equal(await ada.title(), '#lobby · Acacia chat')
    const bob = await join('Bob', 'lobby')
    await shows(ada, '.note', ['You are here as Ada.', 'Bob joined.'])
    await shows(ada, '#members li span', ['Ada (you)', 'Bob'])
    await shows(bob, '#members li span', ['Ada', 'Bob (you)'])
    await say(ada, 'hello')
    await bob.fill('#text', '  你好 🌳 ')
    await bob.click('#send')
    await hears(ada, [['Ada', 'hello', true], ['Bob', '你好 🌳', false]])
    await hears(bob, [['Ada', 'hello', false], ['Bob', '你好 🌳', true]])
    await ada.fill('#text', '   ') // is no message
    await ada.press('#text', 'Enter')
    await close(bob)
    await shows(ada, '.note', ['You are here as Ada.', 'Bob joined.', 'Bob left.'])
    await shows(ada, '#members li span', ['Ada (you)'])
    await hears(ada, [['Ada', 'hello', true], ['Bob', '你好 🌳', false]])
    await close(ada)
  })

  test('a reload brings the history back', async () => {
    const ada = await join('Ada', 'a room / 名 & more')
    const bob = await join('Bob', 'a room / 名 & more')
    await say(ada, 'one')
    await say(bob, 'two')
    await hears(bob, [['Ada', 'one', false], ['Bob', 'two', true]])
    await bob.reload()
    assert.equal(await bob.inputValue('#room'), 'a room / 名 & more')
    await bob.fill('#name', 'Bob')
    await bob.click('#door button')
    await online(bob)
    await bob.locator('.note', { hasText: 'You are here as' }).waitFor()
    await hears(bob, [['Ada', 'one', false], ['Bob', 'two', true]])
    await shows(ada, '.note', ['You are here as Ada.', 'Bob joined.', 'Bob left.', 'Bob joined.'])
    await close(ada, bob)
  })

  test('a link brings in a name and a room', async () => {
    const ada = await open(`${at.server.url}/?name=Ada&room=linked`)
    await shows(ada, '.note', ['You are here as Ada.'])
    const again = await open(`${at.server.url}/?name=Ada&room=linked`)
    await shows(again, '.note', ['You are here as Ada 2.'])
    await shows(ada, '#members li span', ['Ada (you)', 'Ada 2'])
    await close(ada, again)
    const strange = await open(`${at.server.url}/#%`)
    assert.equal(await strange.inputValue('#room'), '%')
    await close(strange)
  })

  test('a name in any script that is as long as the page lets it be', async () => {
    for (const name of ['名'.repeat(24), '🌳'.repeat(12), 'x'.repeat(24)]) {
      const page = await join(name, '室'.repeat(24))
      assert.match(await page.innerText('.note'), /^You are here as (名{8,24}|🌳{8,12}|x{24})\.$/u)
      await close(page)
    }
  })

  test('names and texts are text', async () => {
    const bad = '<img src=x onerror=alert(1)>'
    const ada = await join(bad.slice(0, 24), 'markup')
    const bob = await open(`${at.server.url}/?room=markup&name=${encodeURIComponent('<b onclick=alert(2)>')}`)
    await online(bob)
    await say(ada, bad)
    await say(ada, '<script>alert(3)</script>')
    const expected = mine => [[bad.slice(0, 24), bad, mine], [bad.slice(0, 24), '<script>alert(3)</script>', mine]]
    await hears(ada, expected(true))
    await hears(bob, expected(false))
    await shows(bob, '#members li span', ['<b onclick=alert(2)> (you)', bad.slice(0, 24)])
    for (const page of [ada, bob]) {
      assert.equal(await page.locator('#chat img, #log script, #members b').count(), 0)
    }
    await close(ada, bob)
  })

  for (const [device, options] of [['a phone', PHONE], ['a desktop', { viewport: { width: 1280, height: 800 } }]]) {
    test(`it fits ${device}`, async () => {
      const others = await Promise.all(Array.from({ length: 8 }, async (_, i) => {
        const socket = new WebSocket(`${at.server.ws}/chat/${encodeURIComponent(device)}?name=Somebody%20number%20${i}`)
        await once(socket, 'open')
        return socket
      }))
      const page = await open(at.server.url, options)
      assert.ok(await fits(page), 'the door')
      await page.fill('#name', 'W'.repeat(24))
      await page.fill('#room', device)
      await page.click('#door button')
      await online(page)
      await say(page, 'words, and more words of it '.repeat(20))
      for (let i = 0; i < 20; i++) others[0].send(JSON.stringify({ text: `message ${i} ${'and so on '.repeat(i)}` }))
      others[0].send(JSON.stringify({ text: 'x'.repeat(600) }))
      await eventually(async () => (await messages(page)).length === 22, 'all messages')
      assert.ok(await fits(page), 'the chat')
      const inside = await page.evaluate(() => ['#send', '#text', '#log', 'header'].every(selector => {
        const { left, right, top, bottom } = document.querySelector(selector).getBoundingClientRect()
        return left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight
      }))
      assert.ok(inside, 'everything is on the screen')
      const rest = await page.locator('#log').evaluate(log => log.scrollHeight - log.scrollTop - log.clientHeight)
      assert.ok(rest < 2, `the last message is seen (${rest} px)`)
      others.forEach(socket => socket.terminate())
      await close(page)
    })
  }

  test('it comes back after the server does', async () => {
    const first = await startServer('chat')
    const [ada, bob] = [await open(`${first.url}/?name=Ada`), await open(`${first.url}/?name=Bob`)]
    await online(ada)
    await online(bob)
    await say(ada, 'before')
    await hears(bob, [['Ada', 'before', false]])
    await first.stop()
    await eventually(async () => await ada.locator('#state.open').count() === 0, 'it is seen to be offline')
    assert.equal(await ada.isDisabled('#send'), true)
    const second = await startServer('chat', { env: { PORT: String(first.port) } })
    await online(ada)
    await online(bob)
    for (const page of [ada, bob]) {
      await eventually(async () => (await lines(page, '#members li span')).length === 2, 'both are here')
      // What the browser says of a port where nobody listens.
      page.complaints = page.complaints.filter(text => !/WebSocket connection to .* failed/.test(text))
    }
    await say(ada, 'after')
    await hears(bob, [['Ada', 'after', false]])
    await second.stop()
    for (const page of [ada, bob]) page.complaints = page.complaints.filter(text => !/WebSocket connection to/.test(text))
    await close(ada, bob)
  })
})
