// What the tests of TLS share: an authority, a certificate of its, a server, and clients that ask it.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { after, before } from 'node:test'
import https from 'node:https'
import { promisify } from 'node:util'
import { authority, issue } from './certificates.mjs'
import { startServer, withPatience } from './support.mjs'

export const run = promisify(execFile)
export const ca = authority('ca')
export const good = issue(ca, 'good')
export const files = ({ cert, key }) => ({ cert_file: cert, key_file: key })

export const environmentOf = (options = {}) => ({ TLS: JSON.stringify({ ...files(good), ...options }) })

export const start = (options = {}, env = {}) =>
  startServer('tests/support/tls_server', { env: { ...environmentOf(options), ...env } })

// A server for all tests of one describe().
export function startedWith (fn) {
  const at = {}
  before(async () => Object.setPrototypeOf(at, await fn()))
  after(() => at.stop?.())
  return at
}

export const serverOf = (...args) => startedWith(() => start(...args))

// A whole response, as text, with the certificate that the server has shown.
export function get (server, path, options) {
  return withPatience(new Promise((resolve, reject) => {
    https.get(server.url + path, { ca: ca.pem, agent: false, ALPNProtocols: ['http/1.1'], ...options }, async response => {
      const subject = response.socket.getPeerCertificate().subject?.CN
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      resolve({ status: response.statusCode, headers: response.headers, text, subject })
    }).on('error', reject)
  }), `GET ${path}`)
}

export const json = async (server, path, options) => JSON.parse((await get(server, path, options)).text)

// What `openssl s_client` says.
export async function s_client (server, input, ...args) { // eslint-disable-line camelcase
  const client = run('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, '-CAfile', ca.cert, ...args])
  client.child.stdin.on('error', () => {}).end(input)
  const { stdout, stderr } = await withPatience(client.catch(error => error), 's_client')
  return stdout + stderr
}

// All that comes until the end.
export async function everything (socket) {
  let text = ''
  socket.setEncoding('latin1').on('data', data => { text += data })
  await withPatience(once(socket, 'close'), 'the end')
  return text
}

export const REQUEST = 'GET /where HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
