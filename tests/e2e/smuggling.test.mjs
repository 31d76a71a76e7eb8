// Requests that two servers might read differently, one after the other, each with the answer that is right: what is
// refused is answered once, the connection is closed, and no byte behind it is looked at. Whether the bytes come in one
// piece or in several makes no difference.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ANY, answerOf, connect, getOf, survives, target, transcript, transcriptOf } from './hostile.mjs'
import { MIB } from './peer.mjs'

const CRLF = '\r\n'
const SMUGGLED = getOf('/request/smuggled', 'X-Smuggled: 1')
const CHUNKED = 'Transfer-Encoding: chunked'

// --- The table -----------------------------------------------------------------------------------

const raw = text => ({ text })
const line = line => raw([line, 'Host: a', '', ''].join(CRLF))
const get = (...lines) => raw(getOf('/request', ...lines))
const post = (lines, body = '', path = '/echo') => raw([`POST ${path} HTTP/1.1`, 'Host: a', ...lines, '', body].join(CRLF))
const chunks = body => post([CHUNKED], body)
const chars = codes => codes.map(code => String.fromCharCode(code))
const CONTROLS = chars([...Array(32).keys(), 127].filter(code => code !== 9 && code !== 10 && code !== 13))

// Each answer, and what gets it.
const table = {
  '400 Bad Request': {
    'the ends of lines': [
      raw('GET /request HTTP/1.1\nHost: a\n\n'), raw('GET /request HTTP/1.1\nHost: a\r\n\r\n'), raw('GET /request HTTP/1.1\r\nHost: a\n\r\n'),
      raw('GET /request HTTP/1.1\r\nHost: a\r\n\n'), raw('GET /request HTTP/1.1\rHost: a\r\r'), raw('GET /request HTTP/1.1\rHost: a\r\n\r\n'),
      raw('GET /request HTTP/1.1\r\nHost: a\r\r\n'), raw('GET /request HTTP/1.1\r\r\nHost: a\r\n\r\n'), raw('GET /request HTTP/1.1\n\rHost: a\n\r\n\r'),
      raw(`\n${getOf('/request')}`), raw(`\r${getOf('/request')}`), raw(`\n\n${getOf('/request')}`), raw(`\r\r\n${getOf('/request')}`), raw(`\n\r\n${getOf('/request')}`),
      get('X: a\rb'), get('X: a\nb: c'), get('X: a\r\r'), get('X: a\r'), get('X: \r'), get('X\r: a'), get('X:\ra'), get('X: a\n'), get('\nX: a'), get('\rX: a'),
      get('X: a\r\r\nY: b'), get('X: a\n\rY: b'), get(`X: a\r${CHUNKED}`), get(`X: a\n${CHUNKED}`), get('X: a\rContent-Length: 5'), get('X: a\nContent-Length: 5'),
      post(['Content-Length: 5\r'], 'abcde'), post(['Content-Length: 5\n'], 'abcde'), post([`${CHUNKED}\r`], '0\r\n\r\n'), post([`${CHUNKED}\n`], '0\r\n\r\n')
    ],
    'folded lines': [
      get('X: a', ' b'), get('X: a', '\tb'), get('X: a', ' '), get('X: a', '\t'), get('X:', ' a'), get(' X: a'), get('\tX: a'), get('X: a', ' Y: b'),
      get('X: a', ` ${CHUNKED}`), get('X: a', ' Content-Length: 5'), raw('GET /request HTTP/1.1\r\n Host: a\r\n\r\n'), raw('GET /request HTTP/1.1\r\nHost:\r\n a\r\n\r\n'),
      raw('GET /request HTTP/1.1\r\nHost: a\r\n b\r\n\r\n'), post(['Content-Length:', ' 5'], 'abcde'), post(['Content-Length: 1', ' 0'], 'abcde'), post(['Transfer-Encoding:', ' chunked'], '0\r\n\r\n'),
      post(['Transfer-Encoding: chunked', ' , identity'], '0\r\n\r\n'), raw('GET /request\r\n HTTP/1.1\r\nHost: a\r\n\r\n')
    ],
    'names of fields': [
      ...['X ', 'X\t', ' X', 'X Y', '', ' ', 'X(', 'X)', 'X<', 'X>', 'X@', 'X,', 'X;', 'X\\', 'X"', 'X/', 'X[', 'X]', 'X?', 'X=', 'X{', 'X}', 'X\xe9', '\xc3\x89', '\x80', 'X\x85', 'X\xa0']
        .map(name => get(`${name}: a`)),
      ...CONTROLS.flatMap(char => [get(`X${char}: a`), get(`${char}X: a`)]),
      get('X'), get('X a'), get('GET /text HTTP/1.1'), get('"X": a'), get('Host : b'), post(['Content-Length : 5'], 'abcde'), post(['Content-Length\t: 5'], 'abcde'),
      post(['Content Length: 5'], 'abcde'), post(['Transfer-Encoding : chunked'], '0\r\n\r\n'), post(['Transfer-Encoding\x0b: chunked'], '0\r\n\r\n'),
      post(['\x00Transfer-Encoding: chunked'], '0\r\n\r\n'), post(['Transfer-Encoding\x00: chunked'], '0\r\n\r\n')
    ],
    'values of fields': [
      ...CONTROLS.flatMap(char => [get(`X: a${char}b`), get(`X: ${char}`), get(`X:${char}a`)]),
      post(['Content-Length: 5\x00'], 'abcde'), post(['Content-Length: \x0b5'], 'abcde'), post(['Transfer-Encoding: chunked\x00'], '0\r\n\r\n')
    ],
    'the request line': [
      line(' GET /request HTTP/1.1'), line('GET  /request HTTP/1.1'), line('GET /request  HTTP/1.1'), line('GET /request HTTP/1.1 '), line('GET\t/request HTTP/1.1'),
      line('GET /request\tHTTP/1.1'), line('GET /request HTTP/1.1\t'), line('GET /request'), line('GET'), line(''), line('GET /request HTTP/1.1 x'), line('GET/request HTTP/1.1'),
      line('GET /requestHTTP/1.1'), line('GET  HTTP/1.1'), line('/request HTTP/1.1'), line('GET /req uest HTTP/1.1'), line('get /request HTTP/1.1'), line('Get /request HTTP/1.1'),
      line('GETT /request HTTP/1.1'), line('GE /request HTTP/1.1'), line('G\x00ET /request HTTP/1.1'), line('GET\x00 /request HTTP/1.1'), line('XYZZY /request HTTP/1.1'),
      line('GET\x0b/request HTTP/1.1'), line('GET\xa0/request HTTP/1.1'), line('G E T /request HTTP/1.1'), line('@GET /request HTTP/1.1'), line('1 /request HTTP/1.1'), line('HTTP/1.1 200 OK'),
      line('PRI * HTTP/2.0'), raw('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), raw('nonsense\r\n\r\n'), raw('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'), raw('\x00\x00\x00\x00'),
      raw('SSH-2.0-OpenSSH_9.2\r\n'), raw('EHLO a\r\n'), raw('\x04\x01\x00\x50\x7f\x00\x00\x01\x00'), raw('PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n')
    ],
    'a target in the request line': [
      ...[...CONTROLS, '\t', '\xe9', '\x80', '\xff', ' '].map(char => line(`GET /req${char}uest HTTP/1.1`)),
      ...['request', 'a:80', '?x', '#x', '\\request', '.', 'foo:bar', 'http:', 'http:/request', 'http://', 'http:///request', 'http://b/request',
        'http://a:80/request', 'http://u@a/request', 'http://u:p@a/request', 'http://@a/request', 'http://a@b/request', 'http://a@b@c/request', 'http://[::1/request', 'http://a\\request',
        'http://a%20/request', 'http://b', 'https://b/request', 'ftp://a/request', 'file:///etc/passwd', 'javascript:alert(1)', 'ws://a/request', 'http://a.b/request', 'http://xa/request',
        'http://b/request#x', '"/request"', '</request>'].map(target => line(`GET ${target} HTTP/1.1`)),
      ...['OPTIONS a:80', 'OPTIONS ?', 'OPTIONS http://b', 'POST http://b/echo'].map(start => line(`${start} HTTP/1.1`))
    ],
    versions: [
      ...['HTTP/1.2', 'HTTP/1.9', 'HTTP/1', 'HTTP/1.', 'HTTP/.1', 'HTTP/', 'HTTP', 'HTTP/1.10', 'HTTP/1.01', 'HTTP/01.1', 'HTTP/11.1', 'HTTP/1.1.1', 'HTTP/1,1', 'HTTP/-1.1', 'HTTP/+1.1', 'HTTP/1.x',
        'HTTP/a.b', 'http/1.1', 'Http/1.1', 'HTTPS/1.1', 'HTTP /1.1', 'HTTP/ 1.1', 'HTTP/1 .1', 'HTTP/1.1\x00', 'HTTP/\x001.1', 'HTCPCP/1.0', 'ICY/1.0', 'RTSP/1.0', 'HTTP/1.1;a=b', '1.1', 'HTTP\\1.1',
        'HTTP/3.0', 'HTTP/9.9'].map(version => line(`GET /request ${version}`))
    ],
    Host: [
      ...[[], ['Host:'], ['Host: '], ['Host:\t'], ['Host: a', 'Host: a'], ['Host: a', 'Host: b'], ['Host: a', 'host: a'], ['Host:', 'Host: a'], ['Host: a', 'Host:'], ['X-Host: a'], ['Hos: a'],
        ['Host: a b'], ['Host: a,b c'], ['Host: u@a'], ['Host: u:p@a'], ['Host: @a'], ['Host: a@'], ['Host: a/b'], ['Host: a/'], ['Host: /a'], ['Host: a?b'], ['Host: a#b'], ['Host: http://a'],
        ['Host: a\\b'], ['Host: a:b'], ['Host: a:80:80'], ['Host: a:-1'], ['Host: a:+1'], ['Host: a: 80'], ['Host: a :80'], ['Host: :80'], ['Host: :'], ['Host: ['], ['Host: []'], ['Host: [::1'],
        ['Host: ::1'], ['Host: [::1]x'], ['Host: [::g]'], ['Host: [1.2.3.4]'], ['Host: [::1]:x'], ['Host: a%'], ['Host: a%zz'], ['Host: a%2'], ['Host: "a"'], ['Host: <a>'], ['Host: a|b'],
        ['Host: a^b'], ['Host: a`b'], ['Host: a{b}'], ['Host: \xe9'], ['Host: a\xe9'], ['Host: \xc3\xa9.example'], ['Host: a\tb']].map(lines => raw(['GET /request HTTP/1.1', ...lines, '', ''].join(CRLF))),
      raw('GET /request HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n'), raw('GET /request HTTP/1.0\r\nHost: u@a\r\n\r\n'), raw('GET /request HTTP/1.0\r\nHost:\r\n\r\n'),
      raw('GET http://a/request HTTP/1.1\r\n\r\n'), raw('GET http://a/request HTTP/1.1\r\nHost: b\r\n\r\n'), raw('GET http://a/request HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'),
      raw('GET http://b/request HTTP/1.0\r\nHost: a\r\n\r\n')
    ],
    'Content-Length': [
      ...['', ' ', '+5', '-5', '-0', '0x5', '5x', '5_0', '5.0', '5e0', '5 5', '5,5', '5, 5', '5,6', '5,', ',5', '5;5', '"5"', '\'5\'', 'five', '5\t5', '٥', '\xb2', '5-', '(5)', '18446744073709551616',
        '18446744073709551621', '99999999999999999999', '9'.repeat(100), '5 chunked', 'chunked'].map(value => post([`Content-Length: ${value}`], 'abcde')),
      ...[['5', '5'], ['5', '6'], ['6', '5'], ['5', '0'], ['0', '5'], ['5', ''], ['', '5'], ['5', 'x'], ['5', '05'], ['5', '+5'], ['5', '5, 5']]
        .map(([a, b]) => post([`Content-Length: ${a}`, `Content-Length: ${b}`], 'abcde')),
      post(['Content-Length: 5', 'X: y', 'content-length: 5'], 'abcde'), post(['Content-Length: 5', 'CONTENT-LENGTH: 6'], 'abcde'),
      get('Content-Length: 5', 'Content-Length: 5'), get('Content-Length: x'), get('Content-Length: 0', 'Content-Length: 10')
    ],
    'Transfer-Encoding': [
      ...['', ' ', 'identity', 'gzip', 'deflate', 'compress', 'x', 'xchunked', 'chunkedx', 'chunke', 'chunked, identity', 'chunked, gzip', 'chunked,', 'chunked ,', ',chunked,', 'chunked, chunked', 'chunked chunked',
        'chunked;q=1', 'chunked; a=b', '"chunked"', '\'chunked\'', 'chunked\x0b', '\x0bchunked', '\x0cchunked', 'chunked\x00', 'chunk ed', 'c hunked', 'chunked/1', 'chunked=1', '[chunked]', '(chunked)',
        'chunked, x', 'identity chunked', 'chunked-x', 'cow', 'none', '0', 'trailers', '\u017fchunked', 'chun\x00ked', 'chunked;', 'gzip, chunked, gzip', '\xa0chunked', 'chunked\xa0', 'chunKed\x85']
        .map(value => post([`Transfer-Encoding: ${value}`], '0\r\n\r\n')),
      ...[['chunked', 'chunked'], ['chunked', 'identity'], ['identity', 'chunked'], ['chunked', ''], ['', 'chunked'], ['gzip', 'chunked'], ['x', 'chunked'], ['chunked', 'x']]
        .map(([a, b]) => post([`Transfer-Encoding: ${a}`, `Transfer-Encoding: ${b}`], '0\r\n\r\n')),
      ...['chunked', 'identity', '', 'x', 'gzip', 'gzip, chunked', 'Chunked', ' chunked'].flatMap(value => [
        post(['Content-Length: 5', `Transfer-Encoding: ${value}`], '0\r\n\r\n'), post([`Transfer-Encoding: ${value}`, 'Content-Length: 5'], '0\r\n\r\n'),
        post(['Content-Length: 0', `Transfer-Encoding: ${value}`], '0\r\n\r\n')]),
      post(['content-length: 5', 'X: y', 'transfer-encoding: chunked'], '0\r\n\r\n'), post([CHUNKED, 'Content-Length:'], '0\r\n\r\n'), post([CHUNKED, 'Content-Length: x'], '0\r\n\r\n'),
      get(CHUNKED, 'Content-Length: 5'), get('Transfer-Encoding: identity'),
      ...['chunked', 'gzip, chunked', 'identity'].map(value => raw(`POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: ${value}\r\n\r\n0\r\n\r\n`)),
      raw(`POST /echo HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`), raw(`POST /echo HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`)
    ]
  },
  '505 HTTP Version Not Supported': {
    versions: [line('GET /request HTTP/2.0'), line('GET /request HTTP/0.9'), line('OPTIONS * HTTP/2.0')]
  },
  '413 Payload Too Large': {
    'Content-Length': [post(['Content-Length: 9223372036854775808']), post(['Content-Length: 18446744073709551615'])]
  },
  '414 URI Too Long': {
    'very long': [line(`GET /${'x'.repeat(17_000)} HTTP/1.1`), line(`GET /request?${'x=y&'.repeat(5000)} HTTP/1.1`), line(`GET http://${'a'.repeat(17_000)}/ HTTP/1.1`)]
  },
  '431 Request Header Fields Too Large': {
    'very long': [get(`X: ${'y'.repeat(17_000)}`), get(`${'X'.repeat(17_000)}: y`), get(...Array(100).fill('X: y')), get(...Array(20).fill(`X: ${'y'.repeat(1000)}`)), get(`X:${' '.repeat(17_000)}y`),
      get(`Host2: ${'a'.repeat(17_000)}`), get('Cookie: ' + 'a=b; '.repeat(4000)), get('X: ' + 'y,'.repeat(9000))]
  },
  '417 Expectation Failed': {
    Expect: [post(['Expect: x', 'Content-Length: 5'], 'abcde'), post(['Expect: 100-continue, x', 'Content-Length: 5'], 'abcde'), get('Expect: 200-ok'), get('Expect:')]
  },
  '': { // node closes in silence, too: this is no proxy
    CONNECT: [line('CONNECT a:443 HTTP/1.1'), line('CONNECT /request HTTP/1.1'), line('CONNECT * HTTP/1.1')]
  }
}

// Bodies that are none. Who reads them gets an error that is a 400, and nothing behind them is a request.
const bodies = {
  'sizes of chunks': ['', '-1', '+1', '0x1', '0X1', '1_0', '1.0', 'g', 'x', '1x', ' 1', '\t1', '1 ', '1\t', '1 1', '1,1', '"1"', '1\x00', '\x001', '\x0b1', '1\xa0', '\xb9', '１', 'ffffffffffffffff',
    'fffffffffffffffff', '8000000000000000', '10000000000000000', '10000000000000001', '1'.repeat(1000), '-0', '1-', '1:', '1=', '1h', '0h1', 'NaN', '1g0'].map(size => `${size}\r\na\r\n0\r\n\r\n`),
  'ends of lines': ['1\na\r\n0\r\n\r\n', '1\ra\r\n0\r\n\r\n', '1\r\r\na\r\n0\r\n\r\n', '1\r\n\na\r\n0\r\n\r\n', '1\r\na\n0\r\n\r\n', '1\r\na\r0\r\n\r\n', '1\r\na0\r\n\r\n', '1\r\na\r\n0\n\r\n',
    '1\r\na\r\n0\n\n', '1\r\na\r\n0\r\n\n', '1\r\na\r\n0\r\n\rX', '1\r\na\r\n0\r\r\n\r\n', '\r\n1\r\na\r\n0\r\n\r\n', '\n1\r\na\r\n0\r\n\r\n', '1\r\nab\r\n0\r\n\r\n', '1\r\na\r\r\n0\r\n\r\n', '1\r\na \r\n0\r\n\r\n',
    '2\r\na\r\n0\r\n\r\n', '1\r\na\r\n\r\n0\r\n\r\n', '1\r\na\n\r\n0\r\n\r\n', '1\r\n\ra\r\n0\r\n\r\n'],
  extensions: ['1;a\nb\r\na\r\n0\r\n\r\n', '1;a\rb\r\na\r\n0\r\n\r\n', '1;a\x00\r\na\r\n0\r\n\r\n', '1;a="\n"\r\na\r\n0\r\n\r\n', '1;a="\r\n"\r\na\r\n0\r\n\r\n', '1;\na\r\n0\r\n\r\n', '1;\ra\r\n0\r\n\r\n',
    `1;${'a'.repeat(17_000)}\r\na\r\n0\r\n\r\n`, `1;a=${'b'.repeat(17_000)}\r\na\r\n0\r\n\r\n`, `1;a="${'b'.repeat(17_000)}"\r\na\r\n0\r\n\r\n`, '1;\x7f\r\na\r\n0\r\n\r\n', '1 ;a\r\na\r\n0\r\n\r\n', '0;a\n\r\n', '0;a\r\r\n\r\n'],
  trailers: ['0\r\nX\r\n\r\n', '0\r\nX y\r\n\r\n', '0\r\nX : y\r\n\r\n', '0\r\nX: y\n\r\n', '0\r\nX: y\rZ: a\r\n\r\n', '0\r\nX: y\r\n z\r\n\r\n', '0\r\nX: \x00\r\n\r\n', '0\r\n: y\r\n\r\n', '0\r\n X: y\r\n\r\n',
    '0\r\nX\x00: y\r\n\r\n', '0\r\nX: y\x7f\r\n\r\n', `0\r\nX: ${'y'.repeat(17_000)}\r\n\r\n`, `0\r\n${'X: y\r\n'.repeat(5000)}\r\n`, '0\r\nX: y\r\n\n',
    '0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n', '0\r\nTransfer-Encoding: chunked\r\n\r\n', '0\r\nX: y\r\nTransfer-Encoding: identity\r\n\r\n']
}

// What looks odd, and is right: [request, status, and what of it the handler has seen].
const right = [
  [get(), 200, 'GET /request  a\nHost=a'],
  [raw(`\r\n\r\n${getOf('/request')}`), 200, 'GET /request  a\nHost=a'],
  [line('OPTIONS * HTTP/1.1'), 404],
  [line('GET * HTTP/1.1'), 404],
  [line('GET /request?x#y HTTP/1.1'), 200, 'GET /request x a\nHost=a'],
  [line('GET http://a/request HTTP/1.1'), 200, 'GET /request  a\nHost=a'],
  [line('GET HTTP://A/request?x HTTP/1.1'), 200, 'GET /request x a\nHost=a'],
  [line('GET //request HTTP/1.1'), 404],
  [line('GET /request?a=http://b/ HTTP/1.1'), 200, 'GET /request a=http://b/ a\nHost=a'],
  [line('GET /request?{}|^"<>`\\ HTTP/1.1'), 200, 'GET /request {}|^"<>`\\ a\nHost=a'],
  [line('PROPFIND /request HTTP/1.1'), 200, 'PROPFIND /request  a\nHost=a'],
  [line('TRACE /request HTTP/1.1'), 200, 'TRACE /request  a\nHost=a'],
  [get('X:a'), 200, 'GET /request  a\nHost=a\nX=a'],
  [get('X: \t a \t '), 200, 'GET /request  a\nHost=a\nX=a'],
  [get('X:'), 200, 'GET /request  a\nHost=a\nX='],
  [get('!#$%&\'*+-.^_`|~0: a'), 200, 'GET /request  a\nHost=a\n!#$%&\'*+-.^_`|~0=a'],
  [get('X: \x80\xff'), 200, 'GET /request  a\nHost=a\nX=\x80\xff'],
  [get('X: a\tb'), 200, 'GET /request  a\nHost=a\nX=a\tb'],
  [get('X: a', 'X: b'), 200, 'GET /request  a\nHost=a\nX=a\nX=b'],
  [raw('GET /request HTTP/1.1\r\nhOsT: A.b:8080\r\n\r\n'), 200, 'GET /request  A.b:8080\nhOsT=A.b:8080'],
  [raw('GET /request HTTP/1.1\r\nHost: [::1]:80\r\n\r\n'), 200, 'GET /request  [::1]:80\nHost=[::1]:80'],
  [post(['Content-Length: 5'], 'abcde'), 200, 'abcde'],
  [post(['Content-Length: 005'], 'abcde'), 200, 'abcde'],
  [post(['Content-Length: \t5 '], 'abcde'), 200, 'abcde'],
  [post(['content-length:5'], 'abcde'), 200, 'abcde'],
  [post([]), 200, ''],
  [post(['Transfer-Encoding: Chunked'], '1\r\na\r\n0\r\n\r\n'), 200, 'a'],
  [post(['transfer-encoding:  chunked  '], '1\r\na\r\n0\r\n\r\n'), 200, 'a'],
  [chunks('A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n'), 200, '01234567890123456789'],
  [chunks('000001\r\na\r\n000\r\n\r\n'), 200, 'a'],
  [chunks('1;a\r\na\r\n0;b=c\r\n\r\n'), 200, 'a'],
  [chunks('1;a="b c"\r\na\r\n0\r\n\r\n'), 200, 'a'],
  [chunks('1\r\n\n\r\n1\r\n\r\r\n0\r\n\r\n'), 200, '\n\r'],
  // Trailers are read and dropped; a second Transfer-Encoding among them is refused, above.
  [chunks('1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n'), 200, 'a'],
  [chunks('1\r\na\r\n0\r\nX: y\r\nHost: b\r\nCookie: a=b\r\nAuthorization: x\r\nConnection: close\r\n\r\n'), 200, 'a'],
  [raw(`POST /request HTTP/1.1\r\nHost: a\r\n${CHUNKED}\r\n\r\n0\r\nX: y\r\nHost: b\r\n\r\n`), 200, 'POST /request  a\nHost=a\nTransfer-Encoding=chunked'],
  [post([CHUNKED, 'Trailer: X'], '0\r\nX: y\r\n\r\n'), 200, ''],
  [post(['Expect: 100-CONTINUE', 'Content-Length: 1'], 'a'), 200, 'a'],
  [get('HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA', 'Upgrade: h2c'), 200]
]

// --- Playing it ----------------------------------------------------------------------------------

async function inPieces (server, text, size) {
  const peer = await connect(server)
  for (let at = 0; at < text.length && !peer.over; at += size) {
    peer.write(text.slice(at, at + size))
    await new Promise(setImmediate)
  }
  const all = await transcriptOf(peer)
  peer.end()
  return all
}

const sizesFor = text => text.length > 1000 ? [1000] : [1, 7]

describe('requests that are not clear', () => {
  const server = target()

  for (const [status, groups] of Object.entries(table)) {
    const answer = status && `HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`
    const closed = { BAD_REQUEST: ANY, HEAD_TOO_LARGE: ANY }
    for (const [name, requests] of Object.entries(groups)) {
      test(`${status || 'closed'}: ${name}, ${requests.length}`, () => survives(server, { closed }, async () => {
        for (const { text } of requests) {
          const whole = text + SMUGGLED
          assert.equal(await transcript(server, whole), answer, JSON.stringify(text.slice(0, 300)))
          const behind = await transcript(server, getOf('/request') + whole) // what comes before it is answered
          assert.ok(behind.startsWith('HTTP/1.1 200 OK\r\n') && behind.endsWith(`GET /request  a\nHost=a${answer}`), JSON.stringify([text.slice(0, 300), behind]))
          for (const size of sizesFor(text)) {
            const cut = await inPieces(server, whole, size)
            assert.ok(cut === answer || (text.length > 1000 && cut === ''), JSON.stringify([size, text.slice(0, 300), cut])) // a reset may take it away
          }
        }
      }))
    }
  }

  const malformed = /^(HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 400 Bad Request\r\n(?:[\w-]+: .*\r\n)*Connection: close\r\n(?:[\w-]+: .*\r\n)*\r\nthe request body is incomplete or malformed$/
  for (const [name, list] of Object.entries(bodies)) {
    test(`bodies: ${name}, ${list.length}`, () => survives(server, { closed: { BAD_REQUEST: ANY, BODY_NOT_READ: ANY } }, async () => {
      for (const body of list) {
        const { text } = chunks(body + SMUGGLED)
        assert.match(await transcript(server, text), malformed, JSON.stringify(body.slice(0, 300)))
        for (const size of sizesFor(text)) {
          const cut = await inPieces(server, text, size)
          assert.ok(malformed.test(cut) || (text.length > 1000 && cut === ''), JSON.stringify([size, body.slice(0, 300), cut]))
        }
        const ignored = await transcript(server, post([CHUNKED], body + SMUGGLED, '/ignore').text) // nobody reads it
        assert.match(ignored, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nignored$/, JSON.stringify(body.slice(0, 300)))
      }
    }))
  }

  test(`what is right, though it looks odd, ${right.length}`, () => survives(server, { grows: 8 * MIB, closed: { ABORTED: ANY } }, async () => {
    for (const [{ text }, status, body] of right) {
      const peer = await connect(server)
      peer.write(text + getOf('/request?next'))
      let answer = await answerOf(peer)
      if (answer.status === 100) answer = await answerOf(peer)
      assert.equal(answer.status, status, JSON.stringify(text))
      if (body !== undefined) assert.equal(answer.body, body, JSON.stringify(text))
      assert.equal((await answerOf(peer)).body, 'GET /request next a\nHost=a', `the one behind ${JSON.stringify(text)}`)
      peer.end()
    }
  }))

  test('HTTP/1.0 without Host, and to be closed', () => survives(server, {}, async () => {
    assert.match(await transcript(server, 'GET /request HTTP/1.0\r\n\r\n' + SMUGGLED), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nGET \/request {2}$/)
    assert.match(await transcript(server, 'OPTIONS * HTTP/1.0\r\n\r\n' + SMUGGLED), /^HTTP\/1\.1 404 /)
    assert.match(await transcript(server, getOf('/request', 'Connection: close') + SMUGGLED), /^HTTP\/1\.1 200 OK\r\n[^]*\nConnection=close$/)
  }))
})
