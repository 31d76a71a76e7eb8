// Routes, routers and mounts, a case for each thing that they do: its layers, and requests with the steps that they come
// to, behind any status but 404. `WS /path` is a handshake; a host may follow. Where Koa's answer is another one it
// comes second, and then the name of the difference.

import { METHODS } from './http.mjs'
import { add, addAs, inKoa, mount, route, routeWith, router, routerWith, step, stop, use } from './routes.mjs'

const NOTHING = 'Not Found'
const MALFORMED = '400 malformed percent-encoding in the path'
const URLS = 'show url /users/a%20b%2Fc%3F%C3%BC%26%3D%2B~!*\'() url /users/1/posts/2?page=2&q=a+b%26c%3D%C3%A9'

const forAll = (path, expected) => Object.fromEntries(METHODS.map(method => [`${method} ${path}`, expected(method)]))

const back = (name, then, more) => step(name, then, { back: true, ...more })
const blind = (name, then, more) => step(name, then, { sees: undefined, ...more })
const url = (name, params, query) => step('url', 'url', { name, params, query })

// --- Routes --------------------------------------------------------------------------------------

const routes = {
  'koa-route: method and path': [
    METHODS.map(method => route(method, '/:user(tj)', stop(method))),
    { ...forAll('/tj', method => method), ...forAll('/tjayyyy', () => NOTHING), 'WS /tj': 'GET' }
  ],
  'koa-route: a wrong method': [
    [route('GET', '/tj', stop('get')), route('POST', '/post', stop('post'))],
    {
      ...forAll('/tj', method => ['GET', 'HEAD'].includes(method) ? 'get' : NOTHING),
      'GET /post': NOTHING,
      'WS /tj': 'get'
    }
  ],
  'koa-route: all': [
    [route(null, '/:user(tj)', stop('all'))],
    { ...forAll('/tj', () => 'all'), ...forAll('/tjayyyy', () => NOTHING), 'WS /TJ/?x=1': 'all' }
  ],
  'koa-route: a chain of three': [
    [
      route(null, '/:user(tj)', step('one')),
      route(null, '/:a(tj)', step('two')),
      route(null, '/:b(tj)', stop('three')),
      route(null, '/tj', step('four'))
    ],
    { 'GET /tj': 'one two three', 'POST /tj/': 'one two three', 'WS /tj': 'one two three' }
  ],
  'koa-route: a decoded parameter': [
    [route('GET', '/package/:name', stop('show'))],
    {
      'GET /package/http%3A%2F%2Fgithub.com%2Fcomponent%2Ftip': 'show',
      'GET /package/%E6%BC%A2+%20': 'show',
      'GET /pack%61ge/x': NOTHING,
      'WS /package/a%2Fb%25': 'show'
    }
  ],
  'koa-route: patterns': [
    [
      route('GET', '/api/:resource/:id?', stop('optional')),
      route('GET', '/any/:path*', stop('any')),
      route('GET', '/some/:path+', stop('some')),
      route('GET', '/rest/(.*)', stop('rest')),
      route('GET', '/docs{/:lang}?/intro', stop('docs')),
      route('GET', '/:year(\\d{4})/:day(\\d+)?.:format(html|json)', stop('day')),
      route('GET', '/a\\:b', stop('escaped')),
      route('GET', '/:from-:to', stop('range'))
    ],
    {
      'GET /api/users': 'optional', 'GET /api/users/1': 'optional', 'GET /api/users/1/2': NOTHING,
      'WS /api/users': 'optional',
      'GET /any': 'any', 'GET /any/a/b': 'any', 'GET /any/a//b': NOTHING, 'WS /any/a/b/': 'any',
      'GET /some': NOTHING, 'GET /some/a/b': 'some', 'WS /some/a': 'some',
      'GET /rest': NOTHING, 'GET /rest/': 'rest', 'GET /rest/a/b.c': 'rest', 'WS /rest/': 'rest',
      'GET /docs/intro': 'docs', 'GET /docs/en/intro': 'docs', 'WS /docs/de/intro': 'docs',
      'GET /2024/7.html': 'day', 'GET /2024.json': 'day', 'GET /2024/7.xml': NOTHING, 'WS /2024/07.HTML': 'day',
      'GET /a:b': 'escaped', 'GET /a%3Ab': NOTHING,
      'GET /2023-2024': 'range', 'GET /a-b-c': 'range', 'WS /1-2': 'range'
    }
  ],
  'koa-route: options': [
    [
      routeWith({ end: false }, 'GET', '/api/:resource/:id', stop('prefix')),
      routeWith({ sensitive: true }, 'GET', '/Case', stop('sensitive')),
      routeWith({ strict: true }, 'GET', '/strict', stop('strict')),
      routeWith({ start: false }, 'GET', '/behind', stop('behind')),
      routeWith({ delimiter: '-' }, 'GET', '/dashes/:a', stop('dashes')),
      routeWith({ endsWith: '.;' }, 'GET', '/ends', stop('ends')),
      routeWith({ prefixes: '-' }, 'GET', '/prefix-:a?', stop('prefixes'))
    ],
    {
      'GET /api/users/1/posts': 'prefix', 'GET /api/users/1': 'prefix', 'GET /api/users': NOTHING,
      'WS /api/users/1/posts': 'prefix',
      'GET /Case': 'sensitive', 'GET /case': NOTHING, 'WS /Case': 'sensitive',
      'GET /strict': 'strict', 'GET /strict/': NOTHING, 'WS /strict': 'strict',
      'GET /far/behind': 'behind', 'GET /farbehind': NOTHING, 'WS /far/behind': 'behind',
      'GET /dashes/a-': 'dashes', 'GET /dashes/a-b': NOTHING, 'WS /dashes/a.b': 'dashes',
      'GET /ends;a=b': 'ends', 'GET /ends/x': NOTHING, 'WS /ends.html': 'ends',
      'GET /prefix': 'prefixes', 'GET /prefix-x': 'prefixes', 'WS /prefix': 'prefixes'
    }
  ],
  'koa-route: what handlers may do': [
    [
      back('outer', 'catch'),
      route('GET', '/throw', step('first'), step('second', 'throw')),
      route('GET', '/twice', step('first', 'twice')),
      route('GET', '/answer', step('first', 'later'), step('second', 'answer'), step('third')),
      route('GET', '/rewrite', step('first', 'rewrite', { to: '/else/a?#' })),
      route('GET', '/else/(.*)?', step('else')),
      step('behind')
    ],
    {
      'GET /throw': 'outer first second caught thrown outer',
      'WS /throw': 'outer first second caught thrown outer',
      'GET /twice': 'outer first behind caught next() called multiple times outer',
      'WS /twice': 'outer first behind caught next() called multiple times outer',
      'GET /answer': '200 answered',
      'WS /answer': 'outer first second outer',
      'GET /rewrite?x': 'outer first else behind outer',
      'WS /rewrite': 'outer first else behind outer',
      'GET /else': 'outer else behind outer',
      'WS /': 'outer behind outer'
    }
  ],
  'koa-route: what goes wrong': [
    [route('GET', '/users/:id', stop('show')), route('GET', '/throw', step('first', 'throw'))],
    {
      'GET /throw': '418 thrown',
      'WS /throw': 'first error 418',
      'GET /users/%zz': [MALFORMED, '500 Internal Server Error', 'a malformed % in a path'],
      'GET /users/%C3': [MALFORMED, '500 Internal Server Error', 'a malformed % in a path'],
      'WS /users/%zz': ['error 400', 'error 500', 'a malformed % in a path'],
      'GET /users/admin%00x': [MALFORMED, 'show', 'a NUL in a parameter'],
      'WS /users/%00': ['error 400', 'show', 'a NUL in a parameter'],
      'WS /nowhere': [NOTHING, '', 'a WebSocket that nothing matched']
    }
  ],
  'koa-route: what a handler sees behind next()': [
    [route('GET', '/:a', back('one')), route('GET', '/:a/:b?', back('two'))],
    {
      'GET /x': ['one two two one', 'one two two one', 'a route that is seen from outside'],
      'GET /x/y': 'two two'
    }
  ]
}

// --- Routers -------------------------------------------------------------------------------------

const routers = {
  '@koa/router: verbs, and all of them': [
    [
      routerWith({}, add(null, '/all', step('all')), ...METHODS.map(method => add(method, '/:a', step(method))),
        add(null, '/end', step('end')))
    ],
    {
      ...forAll('/tj', method => method === 'HEAD' ? 'GET HEAD' : method),
      ...forAll('/all', method => method === 'HEAD' ? 'all GET HEAD' : `all ${method}`),
      'GET /a/b': NOTHING, 'WS /end': 'GET end', 'WS /all/': 'all GET'
    }
  ],
  '@koa/router: several handlers of a route': [
    [
      router(
        add('GET', '/:a', step('one'), step('two', 'later')),
        add('GET', '/:id', step('three'), stop('four'), step('five')),
        add('GET', '/x', step('six'))
      )
    ],
    { 'GET /x': 'one two three four', 'WS /x': 'one two three four' }
  ],
  '@koa/router: parameters': [
    [
      router(
        use('/users/:user', step('user')),
        add('GET', '/users/:id/posts', step('posts')),
        inKoa('/users/:a{/:id}', add('GET', '/users/:a/:id?', step('one'))),
        inKoa('/files/*tail', add('GET', '/files/:tail(.+)', step('files'))),
        inKoa('/opt{/*tail}', add('GET', '/opt/:tail(.+)?', step('opt'))),
        add('GET', '/x-:a', step('dash')),
        add('GET', '/two/:a-:b', step('two'))
      ),
      step('behind')
    ],
    {
      'GET /users/7/posts': 'user posts one behind',
      'GET /users/7': 'user one behind',
      'GET /users/7/': 'user one behind',
      'WS /USERS/a%20b/posts': 'user posts one behind',
      'GET /files/a//b/': 'files behind',
      'GET /files': 'behind',
      'GET /opt': 'opt behind',
      'WS /opt/a/b': 'opt behind',
      'GET /x-%41': 'dash behind',
      'GET /two/1-2-3': 'two behind',
      'GET /two/1--': ['behind', 'two behind', 'two parameters in a segment'],
      'GET /users/%zz': [MALFORMED, 'user one behind', 'a malformed % in a path'],
      'WS /users/%zz/posts': ['error 400', 'user posts one behind', 'a malformed % in a path'],
      'GET /users/%00': [MALFORMED, 'user one behind', 'a NUL in a parameter']
    }
  ],
  '@koa/router: parameters of several': [
    [
      router(add('GET', '/:a/:b', step('one'))),
      router(add('GET', '/:b/:c', step('two'))),
      route('GET', '/:d/:d', step('route')),
      router(add('GET', '/:id/c', step('three')))
    ],
    {
      'GET /a/b': 'one two route',
      'GET /a/c': ['one two route three', 'one two route three', 'parameters of routes and of routers']
    }
  ],
  '@koa/router: middleware': [
    [
      router(
        use(null, step('all')), use('/', step('root')), use('/a', step('a'), step('again')),
        add('GET', '/', step('index')), add('GET', '/a/b', step('b')), use(null, step('late'))
      ),
      step('behind')
    ],
    {
      'GET /': 'all root index late behind',
      'GET /A/b': 'all a again b late behind',
      'GET /ab': 'behind',
      'GET /a': 'behind',
      'POST /a/b': '405 behind',
      'WS /a/b/': 'all a again b late behind',
      'WS /': 'all root index late behind'
    }
  ],
  '@koa/router: prefixes': [
    [
      routerWith({ prefix: '/api' }, use(null, step('all')), use('/', step('root')), use('/x', step('x')),
        add('GET', '/x', step('get')), add('GET', '/', step('index')), use('/:id', step('id'))),
      routerWith({ prefix: '/:user/of' }, use(null, step('any')), use('/x', step('x')),
        add('GET', '/:a', step('get')), add('GET', '/', step('index'))),
      router({ prefix: '/early' }, add('GET', '/', step('index')), add('GET', '/a', step('a')), { prefix: '/late/' },
        use(null, step('use')), add('GET', '/b', step('b'))),
      routerWith({ prefix: '/s', strict: true, sensitive: true },
        add('GET', '/', step('slash')), add('GET', '/a', step('a')))
    ],
    {
      'GET /api/x': 'all x get id', 'GET /api': 'all root index', 'GET /api/': 'all root index', 'GET /apix': NOTHING,
      'WS /api/x': 'all x get id',
      'GET /ada/of/x': 'any x get', 'GET /ada/of': 'any index', 'WS /ADA/OF/y': 'any get',
      'GET /late': 'index use', 'GET /late/a': 'a use', 'GET /early/a': NOTHING, 'WS /late/b': 'use b',
      'GET /s/': 'slash', 'GET /s': NOTHING, 'GET /s/a': 'a', 'GET /s/a/': NOTHING, 'GET /S/a': NOTHING, 'WS /s/a': 'a',
      'GET /API/X': ['all x get id', 'x get id', 'middleware under a prefix in another case']
    }
  ],
  '@koa/router: prefixes that are not as they seem': [
    [
      routerWith({ prefix: '/a/' }, add('GET', '/x', step('slash'))),
      router({ prefix: '/early' }, use(null, step('use')), add('GET', '/x', step('x')), { prefix: '/late' })
    ],
    {
      'GET /a/x': ['slash', NOTHING, 'a prefix that ends in /'],
      'GET /late/x': ['use x', 'x', 'a prefix that is changed behind middleware']
    }
  ],
  '@koa/router: hooks of parameters': [
    [
      router(
        { param: 'b' }, { param: 'a' }, add('GET', '/:a/:b', step('one')), add('GET', '/:b/:a', step('two')),
        use('/:id', step('three')), { param: 'id' }, { param: 'b' }
      ),
      router({ param: 'user' }, inKoa('{/:user}', add('GET', '/:user?', step('maybe')))),
      step('behind')
    ],
    {
      'GET /1/2': 'a is 1 b is 2 b is 2 one two id is 1 three behind',
      'WS /1/2': 'a is 1 b is 2 b is 2 one two id is 1 three behind',
      'GET /1/nobody': 'no nobody',
      'GET /%6eobody': 'no nobody',
      'WS /nobody/1': 'a is nobody error 404',
      'GET /x': 'user is x maybe behind',
      'GET /': ['maybe behind', 'user is undefined maybe behind', 'a hook of a parameter that is absent']
    }
  ],
  '@koa/router: routers in routers': [
    [
      router(
        { param: 'user' },
        use('/users/:user',
          router({ param: 'b' }, use(null, step('posts')), add('GET', '/', step('all')), add('GET', '/:b', step('post')))),
        use(null, routerWith({ prefix: '/in' }, add('GET', '/x', step('x')), use('/x', step('use')),
          use(null, router(add('GET', '/x/y', step('deep')))))),
        use('/out', routerWith({ prefix: '/in' }, use(null, step('first')), add('POST', '/x', step('post')))),
        { param: 'b' },
        add('GET', '/users/:a/:b', step('last'))
      ),
      step('behind')
    ],
    {
      'GET /users/ada/7': 'user is ada posts b is 7 b is 7 post last behind',
      'GET /users/ada': 'user is ada posts all behind',
      'WS /users/ada/7': 'user is ada posts b is 7 b is 7 post last behind',
      'GET /in/x': 'x use behind',
      'GET /in/x/y': 'use deep behind',
      'WS /in/x/y': 'use deep behind',
      'POST /out/in/x': 'first post behind',
      'GET /out/in/x': '405 behind'
    }
  ],
  '@koa/router: names': [
    [
      router(
        addAs('user', 'GET', '/users/:id', step('show')),
        addAs('posts', 'GET', '/users/:id/posts/:a', stop('posts')),
        add('GET', '/users/:id', url('user', { id: 'a b/c?ü&=+~!*\'()' }),
          url('posts', { id: '1', a: '2' }, { page: '2', q: 'a b&c=é' }))
      )
    ],
    {
      'GET /users/7': [URLS, URLS.replace('a+b', 'a%20b'), 'a blank in the query of a URL'],
      'WS /users/7': [URLS, URLS.replace('a+b', 'a%20b'), 'a blank in the query of a URL']
    }
  ],
  '@koa/router: redirects': [
    [
      router(
        addAs('home', 'GET', '/home', stop('home')), addAs('old', 'GET', '/older', stop('old')),
        { redirect: '/a', to: '/b' },
        { redirect: '/c', to: 'home', status: 302 },
        { redirect: 'old', to: 'home', status: 307 },
        { redirect: '/d', to: 'https://example.org/x?y' },
        { redirect: '/users/:id', to: '/home', status: 308 }
      )
    ],
    {
      ...forAll('/a', () => '301 Redirecting to /b.'),
      'GET /c': '302 Redirecting to /home.',
      'GET /older': 'old',
      'PUT /older': '307 Redirecting to /home.',
      'GET /d/': '301 Redirecting to https://example.org/x?y.',
      'POST /users/7': '308 Redirecting to /home.'
    }
  ],
  '@koa/router: hosts': [
    [
      routerWith({ host: 'a.example' }, add('GET', '/', step('one'))),
      routerWith({ host: ['b.example', 'c.example:8080'] }, add('GET', '/', step('two'))),
      routerWith({ hostPattern: ':a.example.org', koaHost: '^[^.]+\\.example\\.org(:\\d+)?$' },
        add('GET', '/', blind('three')))
    ],
    {
      'GET / a.example': 'one', 'GET / a.example:80': NOTHING, 'WS / a.example': 'one',
      'GET / b.example': 'two', 'GET / c.example:8080': 'two', 'GET / c.example': NOTHING,
      'GET / x.example.org': 'three', 'GET / x.example.org:3000': 'three', 'WS / x.example.org': 'three',
      'GET / x.y.example.org': NOTHING, 'GET / example.org': NOTHING,
      'GET / A.Example': ['one', NOTHING, 'a host in another case']
    }
  ],
  '@koa/router: allowed methods': [
    [
      router(
        add('GET', '/a', step('get')), add('PUT', '/a', step('put')), add(null, '/all', step('all')),
        add('GET', '/done', step('done', 'status', { status: 202 })), add('GET', '/answered', step('first', 'answer'))
      ),
      router(add('POST', '/a', step('post')), add('OPTIONS', '/own', step('own', 'answer')),
        add('PURGE', '/purge', step('purge')))
    ],
    {
      'GET /a': 'get', 'HEAD /a': 'get', 'POST /a': 'post',
      'OPTIONS /a': '200', 'DELETE /a': '405 Method Not Allowed', 'PURGE /a': '501 Not Implemented',
      'PATCH /nowhere': NOTHING, 'LINK /nowhere': '501 Not Implemented', 'OPTIONS /nowhere': NOTHING,
      'OPTIONS /all': '200', 'PUT /ALL/': 'all', 'OPTIONS /own': '200 answered', 'PURGE /purge': '501 purge',
      'GET /done': '202 done', 'POST /done': '405 Method Not Allowed', 'GET /answered': '200 answered'
    }
  ],
  '@koa/router: other methods that are implemented': [
    [
      routerWith({ methods: ['GET', 'PURGE', 'OPTIONS'], allowed: {} }, add('GET', '/a', step('get')),
        add('PURGE', '/b', step('purge')))
    ],
    {
      'OPTIONS /a': '200', 'PURGE /b': 'purge',
      'PURGE /a': '405 Method Not Allowed', 'GET /b': '405 Method Not Allowed',
      'HEAD /a': '501', 'POST /a': '501 Not Implemented'
    }
  ],
  '@koa/router: allowed methods that are thrown': [
    [
      route('POST', '/caught', back('outer', 'catch')), route('PURGE', '/caught', back('outer', 'catch')),
      routerWith({ allowed: { throw: true } }, add('GET', '/:a', step('get')))
    ],
    {
      'OPTIONS /a': '200', 'GET /a': 'get',
      'POST /caught': 'outer caught Method Not Allowed outer', 'PURGE /caught': 'outer caught Not Implemented outer',
      'POST /a': ['405 Method Not Allowed', '405 Method Not Allowed', 'Allow with what is thrown'],
      'PURGE /a': ['501 Not Implemented', '501 Not Implemented', 'Allow with what is thrown']
    }
  ],
  '@koa/router: only one of several': [
    [
      routerWith({ exclusive: true }, add('GET', '/last/:a/:b', step('one')), add('GET', '/last/x/:b', step('two')),
        add('GET', '/last/:a/y', step('three')), add('POST', '/last/x/y', step('four'))),
      routerWith({ exclusive: 'specificity' }, add('GET', '/best/:a/:b', step('one')),
        add('GET', '/best/x/:b', step('two')), add('GET', '/best/:a/y', step('three')),
        add('POST', '/best/x/y', step('four'))),
      routerWith({ exclusive: true }, use(null, step('use')), add('GET', '/use/a', step('one')),
        add('GET', '/use/:a', step('two'))),
      step('behind')
    ],
    {
      'GET /last/x/y': 'three behind', 'GET /last/x/z': 'two behind', 'GET /last/z/z': 'one behind',
      'POST /last/x/y': 'four behind', 'WS /last/x/y': 'three behind',
      'GET /best/x/y': 'two behind', 'GET /best/z/y': 'three behind', 'GET /best/z/z': 'one behind',
      'POST /best/x/y': 'four behind', 'WS /best/x/y': 'two behind',
      'GET /use/a': ['use two behind', 'two behind', 'middleware where only one route runs']
    }
  ],
  '@koa/router: not found': [
    [
      router(use(null, step('use')), add('GET', '/a', step('a')), { notFound: step('one') },
        { notFound: step('two', 'later') }),
      step('behind')
    ],
    { 'GET /a': 'use a behind', 'GET /b': 'one two behind', 'POST /a': '405 one two behind', 'WS /b': 'one two behind' }
  ],
  '@koa/router: what is seen of a route': [
    [
      router(use('/a', step('use', 'next', { sees: 'route' })), addAs('name', 'GET', '/:a/b', step('one')),
        add('GET', '/a/:b', step('two')))
    ],
    { 'GET /x/b': 'one', 'GET /a/b': ['use one two', 'use one two', 'the pattern that middleware sees'] }
  ]
}

// --- Mounts --------------------------------------------------------------------------------------

const mounts = {
  'koa-mount: prefixes': [
    [
      back('outer'),
      mount('/m', back('in'), route('GET', '/a', step('get')), route('GET', '/', step('root'))),
      mount('/m/n/', route('GET', '/a', step('deep'))),
      mount('/', blind('all')),
      back('behind')
    ],
    {
      'GET /m': 'outer in root all behind behind in outer',
      'GET /m/': 'outer in root all behind behind in outer',
      'GET /m?': 'outer in root all behind behind in outer',
      'GET /m/a?b=/m': 'outer in get all behind behind in outer',
      'GET /mx': 'outer all behind behind outer',
      'GET /M/a': 'outer all behind behind outer',
      'GET /a/m': 'outer all behind behind outer',
      'GET //m/a': 'outer all behind behind outer',
      'GET /m//a': 'outer in all behind behind in outer',
      'GET /m/m/a': 'outer in all behind behind in outer',
      'GET /%6d/a': 'outer all behind behind outer',
      'GET http://a/m/a?x': 'outer in get all behind behind in outer',
      'WS /m/a?x': 'outer in get all behind behind in outer',
      'WS /m': 'outer in root all behind behind in outer',
      'WS /mx': 'outer all behind behind outer',
      'GET /m/n': 'outer in all behind behind in outer',
      'GET /m/n/a': ['outer in deep all behind behind in outer', 'outer in all behind behind in outer',
        'a mount whose prefix ends in /']
    }
  ],
  'koa-mount: errors': [
    [
      back('outer', 'catch'),
      mount('/m', route('GET', '/throw', step('first', 'throw')), route('GET', '/twice', step('first', 'twice')),
        route('GET', '/catch', back('first', 'catch'))),
      route('GET', '/m/:a', step('behind', 'throw'))
    ],
    {
      'GET /m/throw': 'outer first caught thrown outer',
      'GET /m/twice': 'outer first behind caught thrown outer',
      'GET /m/behind': 'outer behind caught thrown outer',
      'WS /m/throw': 'outer first caught thrown outer',
      'WS /m/behind': 'outer behind caught thrown outer',
      'GET /m/catch': ['outer first behind caught thrown first outer', 'outer first behind caught thrown first outer',
        'an error from behind a mount']
    }
  ],
  'koa-mount: mounts in mounts, and rewritten paths': [
    [
      mount('/a', mount('/b', back('deep', 'next', { sees: undefined })), back('in', 'next', { sees: undefined })),
      mount('/rewritten', back('first', 'rewrite', { to: '/to', sees: undefined }), blind('second')),
      mount('/seen', mount('/b', step('inner'))),
      step('behind')
    ],
    {
      'GET /a/b/c': 'deep in behind in deep',
      'GET /a/b': 'deep in behind in deep',
      'GET /a/c?d': 'in behind in',
      'WS /a/b/c': 'deep in behind in deep',
      'GET /rewritten/x?y': 'first second behind first',
      'WS /rewritten/x': 'first second behind first',
      'GET /seen/b': ['inner behind', 'inner behind', 'the prefix of several mounts']
    }
  ],
  'koa-mount: routers': [
    [
      mount('/v1', router(add('GET', '/users/:id', step('one')), add('GET', '/', step('index')))),
      route('GET', '/plain/:id', step('plain')),
      back('behind')
    ],
    {
      'GET /v1/users/7': 'one behind behind', 'GET /v1': 'index behind behind', 'PUT /v1/users/7': '405 behind behind',
      'WS /v1/users/7': 'one behind behind', 'GET /users/7': 'behind behind', 'GET /plain/7': 'plain behind behind'
    }
  ],
  // Below /mounted all of this is an app that is mounted; behind it the request comes to the same layers once more.
  'koa-mount: an app': [
    [
      back('first'),
      route('GET', '/a/:id', stop('get')),
      mount('/m', route('GET', '/a', stop('deep'))),
      router(add('POST', '/r/:id', step('post')))
    ],
    {
      'GET /mounted/a/7?x': 'first get first',
      'GET /mounted/m/a': 'first deep first',
      'GET /mounted': 'first first first first',
      'GET /mountedx/a/7': 'first first',
      'POST /mounted/r/7': 'first post first first first',
      'GET /mounted/r/7': '405 first first first first',
      'WS /mounted/a/7': 'first get first',
      'WS /mounted/m/a?x': 'first deep first',
      'WS /mounted/': 'first first first first'
    }
  ]
}

export const cases = { ...routes, ...routers, ...mounts }
