"""What a unit costs that is counted, not timed: instructions, calls of malloc, system calls, memory."""
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from callgrind import Profile, layer
from loads import BROWSER, load
from servers import LOAD_CPU, pinned

ALLOCATIONS = {'malloc', 'calloc', 'realloc', 'posix_memalign', 'aligned_alloc', 'operator new(unsigned long)'}

# key, title, what, arguments of the load, its option for a number, the most there may be
COUNTED = [
    ('http', 'HTTP, kept alive', 'http', [], '--requests', 3221),
    ('browser', 'HTTP, with the headers of a browser', 'http',
     [part for header in BROWSER for part in ('--header', header)], '--requests', 4984),
    ('pipelined', 'HTTP, 16 requests at once', 'http', ['--depth', '16'], '--requests', None),
    ('ws-32', 'echo of 32 bytes', 'ws', ['--path', '/echo', '--size', '32'], '--messages', None),
]


class Instructions:
    """A server under callgrind."""

    def __init__(self, servers, name, what):
        self.folder = tempfile.TemporaryDirectory()
        self.out = pathlib.Path(self.folder.name, 'out')
        self.servers = servers
        self.dumps = 0
        self.server = servers.start(name, what, prefix=[
            'valgrind', '--tool=callgrind', '--trace-children=yes', f'--callgrind-out-file={self.out}'])

    def dump(self):
        subprocess.run(['callgrind_control', '-d', str(self.server.pid)], check=True,
                       capture_output=True, timeout=30)
        self.dumps += 1
        path = pathlib.Path(f'{self.out}.{self.dumps}')
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return Profile(path)

    def count(self, program, arguments, option, number):
        """Of `number` more of them: what connections cost is in both, and goes."""
        def run(count):
            load(self.servers.build, program, self.server, [*arguments, option, str(count)],
                 seconds=60, warm_up=0)
            return self.dump()

        run(1000)
        few = run(1000)
        return run(1000 + number) - few

    def stop(self):
        self.server.stop()
        self.folder.cleanup()


def can_count():
    return shutil.which('valgrind') and shutil.which('callgrind_control')


def measure_instructions(servers, rows, number):
    """{row's key: {server: Profile of `number` units}}. node is left out: a compiler that compiles as
    it goes can't be measured so."""
    found = {key: {} for key, *_ in rows}
    for what in ('http', 'ws'):
        of_these = [row for row in rows if row[2] == what]
        names = [name for name in servers.names(what) if of_these and 'node' not in name
                 and 'Koa' not in name and name != 'nginx']
        for name in names:
            counted = Instructions(servers, name, what)
            try:
                for key, _title, _what, arguments, option, _most in of_these:
                    program = 'http_load' if what == 'http' else 'ws_load'
                    found[key][name] = counted.count(program, arguments, option, number)
            finally:
                counted.stop()
    return found


def allocations(profile):
    return sum(profile.calls[name] for name in ALLOCATIONS)


# --- System calls ---------------------------------------------------------------------------------

def measure_system_calls(servers, name, what, program, arguments, option, number):
    """{system call: how many a unit}; those of opening connections are in it."""
    server = servers.start(name, what)
    with tempfile.NamedTemporaryFile() as out:
        strace = subprocess.Popen(['strace', '-c', '-f', '-qq', '-o', out.name, '-p', str(server.pid)],
                                  stderr=subprocess.DEVNULL)
        try:
            wait_for_tracer(server.pid)
            load(servers.build, program, server, [*arguments, option, str(number)], 30, 0)
        finally:
            strace.terminate()
            strace.wait()
            server.stop()
        return read_strace(pathlib.Path(out.name).read_text(), number)


def wait_for_tracer(pid):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if 'TracerPid:\t0' not in pathlib.Path(f'/proc/{pid}/status').read_text():
            return
        time.sleep(0.01)
    raise RuntimeError('strace may not look at the server')


def read_strace(text, number):
    calls = {}
    for line in text.splitlines():
        match = re.match(r'\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$', line)
        if match and match[2] != 'total':
            calls[match[2]] = int(match[1]) / number
    return dict(sorted(calls.items(), key=lambda one: -one[1]))


# --- Memory ---------------------------------------------------------------------------------------

def memory_at_start(server):
    """Bytes: of its own in RAM beyond what libraries brought, and all that is in RAM."""
    own = resident = 0
    anonymous = False
    with open(f'/proc/{server.pid}/smaps') as lines:
        for line in lines:
            words = line.split()
            if re.match(r'[0-9a-f]+-[0-9a-f]+$', words[0]):
                anonymous = len(words) < 6 or words[5].startswith('[')
            elif words[0] == 'Private_Dirty:' and anonymous:
                own += int(words[1]) * 1024
            elif words[0] == 'Rss:':
                resident += int(words[1]) * 1024
    return own, resident


def run_program(build, name, arguments):
    return subprocess.run(pinned(LOAD_CPU, [build / 'tests' / 'bench' / name, *arguments]),
                          capture_output=True, text=True, check=True, timeout=120).stdout
