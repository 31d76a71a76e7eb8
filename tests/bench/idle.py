#!/usr/bin/env python3
"""What idle connections cost a server in memory of its own.

    meson setup release --buildtype=release && ninja -C release tests/bench/server
    tests/bench/idle.py release/tests/bench/server [CONNECTIONS]

Opens connections to tests/bench/server, 10,000 of a kind: keep-alive connections that have had an
answer, WebSockets, WebSockets that have agreed on compression. Prints by how many bytes for each
of them Private_Dirty of /proc/PID/smaps_rollup has grown: pages that nobody shares, the
allocator's share and libuv's table of descriptors included; the kernel's sockets are not. For
WebSockets it also says how long their handshake is, which the ctx keeps.

It needs Linux, and two descriptors for each connection: see ulimit -n.
"""
import os
import resource
import socket
import subprocess
import sys
import time

WARM_UP = 500
HOST = 'Host: 127.0.0.1\r\n'
GET = f'GET / HTTP/1.1\r\n{HOST}\r\n'
UPGRADE = (f'GET /echo HTTP/1.1\r\n{HOST}Upgrade: websocket\r\nConnection: Upgrade\r\n'
           'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n')
OFFER = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n'


def private_dirty(pid):
    with open(f'/proc/{pid}/smaps_rollup') as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith('Private_Dirty')) * 1024


def connect(port, request):
    client = socket.create_connection(('127.0.0.1', port))
    client.sendall(request.encode())
    answer = b''
    while b'\r\n\r\n' not in answer:
        piece = client.recv(4096)
        if not piece:
            raise RuntimeError(f'closed after {answer}')
        answer += piece
    return client


def bytes_each(pid, port, request, count):
    """What each of `count` connections adds, when some are there already."""
    clients = [connect(port, request) for _ in range(WARM_UP)]
    time.sleep(0.3)  # what the answers took has been given back
    before = private_dirty(pid)
    clients += [connect(port, request) for _ in range(count)]
    time.sleep(0.3)
    size = (private_dirty(pid) - before) / count
    for client in clients:
        client.close()
    return size


def allow_connections():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def measure(server, request, count, deflate):
    environment = dict(os.environ, PORT='0', DEFLATE=deflate)
    process = subprocess.Popen([server], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline().rsplit(':', 1)[1].split('/')[0])
        return bytes_each(process.pid, port, request, count)
    finally:
        process.kill()
        process.wait()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    server, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    allow_connections()
    kinds = {
        'keep-alive': (GET, '0'),
        'WebSocket': (UPGRADE + '\r\n', '0'),
        'WebSocket, permessage-deflate': (UPGRADE + OFFER + '\r\n', '1'),
    }
    for name, (request, deflate) in kinds.items():
        size = measure(server, request, count, deflate)
        note = '' if name == 'keep-alive' else f', a handshake of {len(request)} bytes included'
        print(f'{name}: {size:,.0f} bytes{note}')


if __name__ == '__main__':
    main()
