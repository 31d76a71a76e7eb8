#!/usr/bin/env python3
"""Layers use only those below them, and each foreign library is known in one place."""
import pathlib
import re
import sys

top = pathlib.Path('framework')
order = ['runtime', 'protocols', 'context', 'application']
# A public header belongs to the layer whose names it declares.
public = {'await.h': 'runtime', 'await_fs.h': 'runtime', 'app.h': 'runtime',
          'acacia_features.h': 'runtime', 'cookies.h': 'context', 'ctx.h': 'context',
          'request.h': 'context', 'response.h': 'context', 'sse.h': 'context', 'tls.h': 'runtime',
          'websocket.h': 'context', 'inject.h': 'application', 'route.h': 'application',
          'router.h': 'application', 'ws_client.h': 'application', 'acacia.h': 'application'}
# Where a library's header may be included: one file, or one folder.
homes = {
    'llhttp.h': 'protocols/http1_', # the parsers of requests and of responses
    'wslay/': 'protocols/frame.c',
    'openssl/': 'protocols/openssl/',
    'zlib.h': 'protocols/deflate.c',
    'idn2.h': 'context/idna.c',
    'pcre2.h': 'application/pattern_regex.c',
    'ucontext.h': 'runtime/stack_switch.c',
    'setjmp.h': 'runtime/stack_switch.h',
}
# Only the runtime opens sockets, reads and writes them; the application listens.
sockets = re.compile(r'\buv_(tcp_\w+|pipe_\w+|read_\w+|write|write2|try_write|accept|listen|shutdown)\(')
failures = []

for path in sorted(top.rglob('*.[ch]')):
    name = path.relative_to(top).as_posix()
    if '/' not in name:
        continue
    layer = name.split('/')[0]
    text = path.read_text()
    for number, line in enumerate(text.splitlines(), 1):
        where = f'{path}:{number}'
        if sockets.search(line) and layer != 'runtime' and name != 'application/listen.c':
            failures.append(f'{where}: only the runtime calls libuv for sockets')
        include = re.match(r'\s*#\s*include\s+([<"])([^>"]+)', line)
        if not include:
            continue
        quote, target = include.groups()
        for prefix, home in homes.items():
            if quote == '<' and target.startswith(prefix) and not name.startswith(home):
                failures.append(f'{where}: <{target}> is for {home} alone')
        if quote == '"':
            used = target.split('/')[0] if '/' in target else public.get(target)
            if used not in order:
                failures.append(f'{where}: what is "{target}"?')
            elif order.index(used) > order.index(layer):
                failures.append(f'{where}: {layer} must not know {used} ("{target}")')

for path in sorted(pathlib.Path('middleware').glob('*.[ch]')):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        include = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if include and '/' in include.group(1):
            failures.append(f'{path}:{number}: middleware has the public headers only')

print('\n'.join(failures))
sys.exit(bool(failures))
