#!/usr/bin/env python3
"""TLS beside nginx's, with the same certificate (ECDSA, P-256): handshakes, much at once, idle memory.

    meson setup release --buildtype=release
    ninja -C release tests/bench/server tests/bench/files tests/bench/http_load
    tests/bench/tls.py release [SECONDS]

The server has CPU 0 to itself, what loads it CPU 1; rounds in which the servers take turns, medians.

    handshakes  a connection for each request, none resumed: how many a second, and CPU time of each
    bulk        a file of 100 MiB by curl: MB/s, and the server's CPU time for one
    memory      Private_Dirty that each idle connection adds (see idle.py), after a request

For Linux, with curl; without nginx it measures Acacia alone.
"""
import json
import os
import pathlib
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import idle
from servers import LOAD_CPU, NGINX, Server, Servers, pinned

ROUNDS = 3
IDLE = 1500
GENERATORS = 16
MIB = 1 << 20
TICK = 1 / os.sysconf('SC_CLK_TCK')


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f'/proc/{pid}/stat') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return int(fields[11]) * TICK, int(fields[12]) * TICK


# --- Servers --------------------------------------------------------------------------------------

class NginxWithFiles(Server):
    """nginx that serves a folder at /files."""

    def nginx(self, environment):
        command = super().nginx(environment)
        path = pathlib.Path(command[-1])
        more = (f'ssl_protocols TLSv1.2 TLSv1.3; sendfile on; location /big {{ root {environment["ROOT"]}; }} '
                'location /page.html { return 200; } location / {')
        path.write_text('user root;\n' + path.read_text().replace('location / {', more, 1))
        return command


def start(servers, name, program, folder):
    environment = {**servers.make_certificate(), 'ROOT': folder}
    if name == 'nginx':
        return NginxWithFiles(name, 'nginx', environment)
    return Server(name, [servers.build / 'tests' / 'bench' / program], environment)


# --- What is measured -----------------------------------------------------------------------------

def handshakes(build, server, seconds):
    # A generator shakes hands with one after the other, and so there are several.
    command = [build / 'tests/bench/http_load', '--tls', '--close', '--connections', '1', '--port',
               server.port, '--seconds', seconds, '--warm-up', 0]
    command = pinned(LOAD_CPU, [str(part) for part in command])
    before, began = cpu_seconds(server.pid), time.monotonic()
    loads = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(GENERATORS)]
    count = sum(json.loads(load.communicate()[0])['count'] for load in loads)
    took, after = time.monotonic() - began, cpu_seconds(server.pid)
    return (count / took, *((b - a) * 1e6 / count for a, b in zip(before, after)))


def bulk(server, count):
    url = f'https://127.0.0.1:{server.port}/big'
    command = ['curl', '-sSkf'] + ['-o', '/dev/null', url] * count
    before, began = cpu_seconds(server.pid), time.monotonic()
    subprocess.run(pinned(LOAD_CPU, command), check=True)
    seconds, after = time.monotonic() - began, cpu_seconds(server.pid)
    return (count * 100 * MIB / 1e6 / seconds, *((b - a) * 1000 / count for a, b in zip(before, after)))


def memory(server, request, version):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    plain = idle.socket.create_connection

    def secure(address):
        return context.wrap_socket(plain(address), server_hostname='localhost')

    idle.socket.create_connection = secure
    try:
        return idle.bytes_each(server.pid, server.port, request, IDLE)
    finally:
        idle.socket.create_connection = plain


# --- Tables ---------------------------------------------------------------------------------------

def table(title, head, rows):
    print(f'\n{title}:\n\n| | ' + ' | '.join(head) + ' |')
    print('| --- |' + ' --: |' * len(head))
    for name, cells in rows.items():
        print(f'| {name} | ' + ' | '.join(cells) + ' |')
    sys.stdout.flush()


def medians(results):
    return [statistics.median(column) for column in zip(*results)]


def in_turns(servers, names, program, folder, measure):
    """{name: medians of what `measure` says of a server of that name}."""
    results = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            server = start(servers, name, program, folder)
            results[name].append(measure(server))
            server.stop()
    return {name: medians(result) for name, result in results.items()}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, seconds = pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2]) if len(sys.argv) > 2 else 3
    assert 'location / {' in NGINX.format(folder='', port=0, tls='')
    idle.allow_connections()
    servers = Servers(build, [])
    names = ['Acacia'] + ['nginx'] * bool(shutil.which('nginx'))
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        pathlib.Path(folder, 'big').write_bytes(os.urandom(MIB) * 100)
        pathlib.Path(folder, 'page.html').write_text('page')
        rows = in_turns(servers, names, 'server', folder, lambda s: handshakes(build, s, seconds))
        table('Handshakes', ['a second', 'CPU µs each'],
              {n: [f'{r[0]:,.0f}', f'{r[1]:.0f} + {r[2]:.0f}'] for n, r in rows.items()})
        rows = in_turns(servers, names, 'files', folder, lambda s: bulk(s, 8))
        table('A file of 100 MiB', ['MB/s', 'CPU ms'],
              {n: [f'{r[0]:,.0f}', f'{r[1]:.0f} + {r[2]:.0f}'] for n, r in rows.items()})
        rows = {}
        kinds = [(name, 'keep-alive', idle.GET) for name in names]
        kinds.append(('Acacia', 'WebSocket', idle.UPGRADE + '\r\n'))
        for name, kind, request in kinds:
            for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
                server = start(servers, name, 'server', folder)
                size = memory(server, request, version)
                server.stop()
                rows[f'{name}, {kind}, {version.name}'] = [f'{size:,.0f}']
        table('An idle connection', ['bytes'], rows)
    servers.close()


if __name__ == '__main__':
    main()
