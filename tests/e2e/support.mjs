// What tests with clients share: a server in a process of its own, and patience.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { environment, overTLS, ports } from './over_tls.mjs'

export const PATIENCE = 10_000 // milliseconds for what should come at once
export const SHUTDOWN = 5_000 // milliseconds from a signal to the end

export const build = process.env.BUILD_DIR || fileURLToPath(new URL('../../build', import.meta.url))

export function withPatience (promise, what, ms = PATIENCE) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${typeof what === 'function' ? what() : what} (waited ${ms} ms)`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export async function eventually (condition, what, ms = PATIENCE) {
  for (const end = Date.now() + ms; ;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > end) throw new Error(`never: ${typeof what === 'function' ? await what() : what}`)
    await sleep(10)
  }
}

export const each = (n, fn) => Promise.all(Array.from({ length: n }, (_, i) => fn(i)))

const running = new Set()
after(() => running.forEach(child => child.kill('SIGKILL')))

// A program: an example by its name, any other by its path in the build directory.
export function startProgram (nameOrPath, { env = {}, args = [] } = {}) {
  const path = nameOrPath.includes('/') ? nameOrPath : `examples/${nameOrPath}`
  const child = spawn(`${build}/${path}`, args, {
    env: { ...process.env, DEBUG: '', PORT: '0', ...environment, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const program = { child, stdout: '', stderr: '', exited: once(child, 'close') }
  running.add(child)
  child.once('close', () => running.delete(child))
  child.stdout.setEncoding('utf8').on('data', text => { program.stdout += text })
  child.stderr.setEncoding('utf8').on('data', text => { program.stderr += text })
  program.ended = async () => {
    const [code, signal] = await withPatience(program.exited, `${path} does not end`, SHUTDOWN)
    assert.doesNotMatch(program.stderr, /ERROR: AddressSanitizer|LeakSanitizer|runtime error:/)
    return signal || code
  }
  return program
}

// A server that listens on a free port, or on env.PORT.
export async function startServer (nameOrPath, options) {
  const server = startProgram(nameOrPath, options)
  const line = await eventually(() => {
    const { exitCode, signalCode } = server.child
    assert.equal(exitCode ?? signalCode, null, `${nameOrPath} ended: ${server.stderr}`)
    return /^listening on (https?):\/\/127\.0\.0\.1:(\d+)\n/m.exec(server.stdout)
  }, `${nameOrPath} listens`)
  server.port = Number(line[2])
  server.url = `${overTLS ? 'http' : line[1]}://127.0.0.1:${server.port}`
  server.ws = server.url.replace('http', 'ws')
  if (line[1] === 'https') ports.add(server.port)
  server.stop = async (signal = 'SIGTERM') => {
    server.child.kill(signal)
    assert.equal(await server.ended(), 0, server.stderr)
  }
  // What it has printed since it listens.
  server.printed = () => server.stdout.slice(line.index + line[0].length)
  server.prints = text => eventually(() => server.printed() === text, () =>
    `${nameOrPath} prints ${JSON.stringify(text)}, but ${JSON.stringify(server.printed())}`)
  return server
}

// Lines through one of tests/tools, which answers each with a line of JSON.
export async function throughTool (name, lines) {
  const child = spawn(`${build}/tests/tools/${name}`, { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', data => { output += data })
  child.stdin.end(Buffer.from(lines.join('\n') + '\n', 'latin1'))
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
  const answers = output.split('\n')
  assert.equal(answers.pop(), '')
  assert.equal(answers.length, lines.length)
  return answers.map(line => JSON.parse(line))
}
