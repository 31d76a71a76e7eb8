"""The servers that are measured side by side, and how each is started.

A server is an ordinary program that listens on PORT of the environment on 127.0.0.1, and answers

    GET /           200, `Hello, World!` as text/plain
    ws /echo        every message comes back
    ws /broadcast   every message goes to everybody

with permessage-deflate if DEFLATE is 1, and over TLS if ACACIA_TLS_CERT and ACACIA_TLS_KEY name two
files. Whatever does that can be measured: `run --peer NAME=PATH`.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).parent
MODULES = HERE.parent / 'node_modules'

OUR_OWN = 'Acacia'

SERVER_CPU, LOAD_CPU = '0', '1'

NGINX = '''
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port} {tls};
        location / {{ default_type text/plain; return 200 "Hello, World!"; }}
    }}
}}
'''


def pinned(cpu, command):
    """The command on one CPU, where there is taskset, and another CPU for the other side."""
    alone = shutil.which('taskset') and os.cpu_count() > 1
    return ['taskset', '-c', cpu, *command] if alone else command


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def has_node():
    return shutil.which('node') and (MODULES / 'koa').is_dir()


class Server:
    """A program that has been started and answers."""

    def __init__(self, name, command, environment=None, prefix=(), cpu=SERVER_CPU):
        self.name = name
        self.port = free_port()
        self.log = tempfile.TemporaryFile()
        self.folder = None
        if command == 'nginx':
            command = self.nginx(environment or {})
        command = [*prefix, *command]
        self.process = subprocess.Popen(
            pinned(cpu, command), env={**os.environ, **(environment or {}), 'PORT': str(self.port)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        self.pid = self.process.pid
        try:
            self.wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def nginx(self, environment):
        self.folder = tempfile.TemporaryDirectory()
        tls = ''
        if 'ACACIA_TLS_CERT' in environment:
            tls = 'ssl; ssl_certificate {ACACIA_TLS_CERT}; ssl_certificate_key {ACACIA_TLS_KEY}'
        path = pathlib.Path(self.folder.name, 'nginx.conf')
        path.write_text(NGINX.format(folder=self.folder.name, port=self.port,
                                     tls=tls.format(**environment)))
        return ['nginx', '-e', f'{self.folder.name}/nginx.log', '-c', str(path)]

    def wait_until_it_listens(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(('127.0.0.1', self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.log.seek(0)
        raise RuntimeError(f'{self.name} does not start: {self.log.read().decode(errors="replace")}')

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        if self.folder:
            self.folder.cleanup()


class Servers:
    """Those that there are on this machine; each is started when it is first asked for, and stays."""

    def __init__(self, build, peers):
        programs = build / 'tests' / 'bench'
        self.build = build
        self.running = {}
        self.commands = {OUR_OWN: [programs / 'server']}
        self.floors = {'http': [programs / 'floor_http'], 'ws': [programs / 'floor_ws']}
        self.does = {OUR_OWN: {'http', 'ws', 'deflate', 'tls', 'wss'}}
        for name, path in peers:
            self.commands[name] = [path]
            self.does[name] = {'http', 'ws', 'deflate', 'tls', 'wss'}
        if shutil.which('nginx'):
            self.commands['nginx'] = 'nginx'
            self.does['nginx'] = {'http', 'tls'}
        self.in_node = {'node, ws': 'node', 'Koa, koa-websocket': 'koa'} if has_node() else {}
        for name, kind in self.in_node.items():
            self.commands[name] = ['node', HERE / 'peer.mjs', kind]
            self.does[name] = {'http', 'ws', 'deflate', 'tls', 'wss'}
        self.certificates = None

    def names(self, what):
        """Of servers that can do this: http, ws, deflate, tls, wss."""
        names = [name for name in self.commands if what in self.does[name]]
        return names[:1] + ['floor'] * (what in self.floors) + names[1:]

    def environment(self, what):
        # Koa's and Acacia's own error reports are of no interest when clients go.
        common = {'NODE_ENV': 'production', 'DEFLATE': '1' if what == 'deflate' else '0'}
        if what in ('tls', 'wss'):
            common.update(self.make_certificate())
        return common

    def make_certificate(self):
        if not self.certificates:
            self.certificates = tempfile.TemporaryDirectory()
            os.chmod(self.certificates.name, 0o755)
        cert, key = (f'{self.certificates.name}/{name}.pem' for name in ('cert', 'key'))
        if not os.path.exists(cert):
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                            'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost',
                            '-days', '2', '-keyout', key, '-out', cert],
                           check=True, stderr=subprocess.DEVNULL)
        return {'ACACIA_TLS_CERT': cert, 'ACACIA_TLS_KEY': key}

    def start(self, name, what, prefix=()):
        """One of its own, which the caller stops."""
        command = self.floors[what] if name == 'floor' else self.commands[name]
        return Server(name, command, self.environment(what), prefix)

    def get(self, name, what):
        """The one that stays."""
        mode = what if name == 'floor' or what == 'deflate' else what in ('tls', 'wss')
        if (name, mode) not in self.running:
            self.running[name, mode] = self.start(name, what)
        return self.running[name, mode]

    def stop_all(self):
        for server in self.running.values():
            server.stop()
        self.running.clear()

    def close(self):
        self.stop_all()
        if self.certificates:
            self.certificates.cleanup()
