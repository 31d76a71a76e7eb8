// Files, and their compression, beside nginx and Koa, on one core each.
//
//     meson setup build --buildtype=release && meson compile -C build tests/bench/files tests/bench/load
//     node tests/bench/files.mjs [build [SECONDS]]
//
// The server has CPU 0 to itself, the clients CPU 1. Each number is the median of three rounds, in
// which the servers take turns. CPU times are the server's, user + system, for one request. Linux only;
// nginx is left out where there is none.

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs/promises'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const [build = 'build', seconds = '3'] = process.argv.slice(2)
const self = fileURLToPath(import.meta.url)
const ROUNDS = 3

// --- Servers ---------------------------------------------------------------------------------------

function start (name, command, args, env) {
  const child = spawn('taskset', ['-c', '0', command, ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] })
  process.once('exit', () => child.kill())
  return { name, child, port: Number(env.PORT) }
}

const children = pid => execFileSync('pgrep', ['-P', String(pid)]).toString().trim().split('\n')

async function isReady (server) {
  for (let i = 0; i < 100; i++) {
    const answers = await new Promise(resolve => {
      http.get({ port: server.port, path: '/1k.txt', agent: false }, response => {
        response.resume().on('end', () => resolve(response.statusCode === 200))
      }).on('error', () => resolve(false))
    })
    if (answers) return
    await sleep(50)
  }
  throw new Error(`${server.name} does not answer`)
}

const nginxConf = (root, port) => `
worker_processes 1;
daemon off;
pid ${root}/nginx.pid;
error_log ${root}/nginx.log;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=1000;
    types { text/html html; text/plain txt; }
    client_body_temp_path ${root}/t1; proxy_temp_path ${root}/t2; fastcgi_temp_path ${root}/t3;
    uwsgi_temp_path ${root}/t4; scgi_temp_path ${root}/t5;
    gzip_comp_level 6;
    server {
        listen 127.0.0.1:${port};
        root ${root};
        location /compressed/ { alias ${root}/; gzip on; }
    }
}
`

async function startAll (root, env = {}) {
  const servers = [start('Acacia', `${build}/tests/bench/files`, [], { ROOT: root, PORT: '8101', ...env })]
  if (spawnSync('nginx', ['-v']).status === 0) {
    await fs.writeFile(`${root}/nginx.conf`, nginxConf(root, 8102))
    servers.push(start('nginx', 'nginx', ['-c', `${root}/nginx.conf`], { PORT: '8102' }))
  }
  servers.push(start('Koa', process.execPath, [self, '--koa'], { ROOT: root, PORT: '8103', NODE_ENV: 'production' }))
  for (const server of servers) await isReady(server)
  for (const server of servers) server.pid = server.name === 'nginx' ? children(server.child.pid)[0] : server.child.pid
  return servers
}

const stop = servers => Promise.all(servers.map(({ child }) => new Promise(resolve => child.on('exit', resolve).kill())))

// --- Measuring -------------------------------------------------------------------------------------

function load (server, path, clients, headers = []) {
  const args = ['-c', '1', `${build}/tests/bench/load`, String(server.port), path, String(clients), seconds, String(server.pid), ...headers]
  return JSON.parse(execFileSync('taskset', args))
}

const median = list => list.sort((a, b) => a - b)[Math.floor(list.length / 2)]
const micros = number => number < 100 ? number.toFixed(1) : Math.round(number).toLocaleString('en')

function compare (title, servers, path, clients, headers) {
  const found = servers.map(() => [])
  for (let round = 0; round < ROUNDS; round++) servers.forEach((server, i) => found[i].push(load(server, path, clients, headers)))
  console.log(`\n${title}\n\n| server | requests/s | MB/s | CPU µs a request |\n| --- | --: | --: | --: |`)
  servers.forEach((server, i) => {
    const of = value => median(found[i].map(value))
    console.log(`| ${server.name} | ${Math.round(of(one => one.requests / one.seconds)).toLocaleString('en')} | ` +
      `${Math.round(of(one => one.bytes / one.seconds / 1e6)).toLocaleString('en')} | ` +
      `${micros(of(one => one.user_us))} + ${micros(of(one => one.system_us))} |`)
  })
}

// Text as pages have it: words of a small vocabulary.
function makePage (length) {
  let state = 1
  const random = n => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % 65536 % n
  const words = Array.from({ length: 2000 }, () => Array.from({ length: 2 + random(9) }, () => 'etaoinshrdlucmfwypvbgkjqxz'[Math.min(random(26), random(26))]).join(''))
  let page = '<!doctype html><title>page</title>'
  while (page.length < length) page += `<p class="text">${Array.from({ length: 60 }, () => words[Math.min(random(2000), random(2000))]).join(' ')}</p>\n`
  return page.slice(0, length)
}

async function measure () {
  const root = await fs.mkdtemp(path.join(os.tmpdir(), 'acacia-bench-'))
  await fs.chmod(root, 0o755)
  try {
    await fs.writeFile(`${root}/1k.txt`, 'x'.repeat(1024))
    await fs.writeFile(`${root}/page.html`, makePage(100 * 1024))
    await fs.writeFile(`${root}/large.bin`, Buffer.alloc(100 * 1024 * 1024))
    console.log(`${new Date().toISOString().slice(0, 10)}, ${os.cpus()[0].model}, ${os.type()} ${os.release()}, node ${process.version}`)
    const servers = await startAll(root)
    compare('A file of 1 KiB, 64 clients', servers, '/1k.txt', 64)
    compare('A file of 100 MiB, 4 clients', servers, '/large.bin', 4)
    compare('A page of 100 KiB, by gzip -6, 16 clients', servers, '/compressed/page.html', 16, ['Accept-Encoding: gzip'])
    await stop(servers)
    await compareEncodings(root)
    await compareThreads(root)
  } finally {
    await fs.rm(root, { recursive: true })
  }
}

const startOurs = async (root, name, env) => {
  const server = start(name, `${build}/tests/bench/files`, [], { ROOT: root, PORT: '8101', ...env })
  await isReady(server)
  return Object.assign(server, { pid: server.child.pid })
}

async function compareEncodings (root) {
  const ports = { gzip: '8101', br: '8104', zstd: '8105' }
  const servers = []
  for (const [ENCODING, PORT] of Object.entries(ports)) servers.push(await startOurs(root, ENCODING, { ENCODING, PORT }))
  compare('The same page from memory, by each encoding', servers, '/page', 16, ['Accept-Encoding: gzip, br, zstd'])
  await stop(servers)
}

async function compareThreads (root) {
  for (const ENCODING of ['gzip', 'zstd']) {
    const servers = [
      await startOurs(root, 'on the loop', { ENCODING, PORT: '8101', THREAD_SIZE: '1000000000' }),
      await startOurs(root, 'by a thread', { ENCODING, PORT: '8104', THREAD_SIZE: '1' })
    ]
    for (const length of [2, 8, 32]) {
      compare(`${length} KiB, by ${ENCODING}, 16 clients`, servers, `/page?length=${length * 1024}`, 16, ['Accept-Encoding: gzip, zstd'])
    }
    await stop(servers)
  }
}

if (build === '--koa') {
  const [{ default: Koa }, { default: compress }, { default: mount }, { default: serve }] =
    await Promise.all(['koa', 'koa-compress', 'koa-mount', 'koa-static'].map(name => import(name)))
  const app = new Koa()
  app.silent = true // clients go
  app.use(mount('/compressed', compress({ br: false })))
  app.use(mount('/compressed', serve(process.env.ROOT)))
  app.use(serve(process.env.ROOT))
  app.listen(Number(process.env.PORT))
} else {
  await measure()
}
