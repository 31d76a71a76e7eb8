// Loaded before Koa's programs when they are to speak TLS: their servers get our certificate. See over_tls.mjs.

import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'

const { ACACIA_TLS_CERT, ACACIA_TLS_KEY } = process.env
const options = {
  cert: fs.readFileSync(ACACIA_TLS_CERT),
  key: fs.readFileSync(ACACIA_TLS_KEY),
  allowHalfOpen: true // as http has it
}
http.createServer = (...args) => https.createServer({ ...options, ...(typeof args[0] === 'object' && args.shift()) }, ...args)

const { log } = console
console.log = (text, ...rest) => log(typeof text === 'string' ? text.replace('listening on http:', 'listening on https:') : text, ...rest)
