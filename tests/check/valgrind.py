#!/usr/bin/env python3
"""Runs a server under valgrind, asks it for a page, for what there is not, and for a socket that says
hello, and ends it by SIGTERM: tests/check/analyze calls it. Errors and leaks are on stderr."""
import os
import re
import socket
import subprocess
import sys

UPGRADE = ('GET {} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
           'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n')
FRAMES = b'\x81\x85\0\0\0\0hello\x89\x80\0\0\0\0\x88\x82\0\0\0\0\x03\xe8'


def talk(port, data):
    with socket.create_connection(('127.0.0.1', port), timeout=30) as client:
        client.sendall(data)
        while client.recv(65536):
            pass


def main():
    server = subprocess.Popen(
        ['valgrind', '-q', '--error-exitcode=9', '--leak-check=full', '--errors-for-leak-kinds=definite,indirect',
         sys.argv[1]], env=dict(os.environ, PORT='0'), stdout=subprocess.PIPE, text=True)
    try:
        for line in server.stdout:
            found = re.search(r'http://127\.0\.0\.1:(\d+)', line)
            if found:
                break
        port = int(found[1])
        for path in ('/', '/nothing', '/ws', '/test/1'):
            talk(port, f'GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'.encode())
            talk(port, UPGRADE.format(path).encode() + FRAMES)
        server.terminate()
        server.stdout.read()
        return server.wait(30)
    finally:
        server.kill()


sys.exit(main())
