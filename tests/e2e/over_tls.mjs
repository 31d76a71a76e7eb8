// The other tests once more over TLS, with OVER_TLS=1 in the environment: the servers get a certificate, and node's
// sockets to their ports become those of TLS. What is written above them stays as it is.

import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
import { authority, issue } from './certificates.mjs'

export const overTLS = Boolean(process.env.OVER_TLS)
export const ports = new Set() // of the servers
export let environment = {}

if (overTLS) {
  const { cert, key } = issue(authority('over-tls'), 'server')
  environment = {
    ACACIA_TLS_CERT: cert,
    ACACIA_TLS_KEY: key,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS || ''} --import=${new URL('over_tls_twin.mjs', import.meta.url)}`,
    // OpenSSL takes and gives back a buffer for each record: what ASan holds back is no growth.
    ASAN_OPTIONS: `${process.env.ASAN_OPTIONS || ''}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64`
  }
  const isOurs = options => ports.has(Number(options?.port))
  const { connect } = net
  const secure = options => {
    const below = connect(options)
    const socket = tls.connect({ ...options, socket: below, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    socket.resetAndDestroy = () => { below.resetAndDestroy(); return socket.destroy() }
    return socket
  }

  net.connect = (...args) => {
    const [first, second] = args
    const options = typeof first === 'object' ? first : { port: first, host: typeof second === 'string' ? second : 'localhost' }
    return isOurs(options) ? secure(options) : connect(...args)
  }
  const { createConnection } = http.Agent.prototype
  http.Agent.prototype.createConnection = function (options, ...rest) {
    return isOurs(options) ? secure(options) : createConnection.call(this, options, ...rest)
  }
}
