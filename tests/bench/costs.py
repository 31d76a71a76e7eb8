"""What a unit costs that is counted, not timed: instructions, calls of malloc, system calls, memory."""
import dataclasses
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


@dataclasses.dataclass
class Counted:
    """A row of the table of instructions."""
    key: str
    title: str
    what: str  # see Servers.names
    arguments: list
    most: int = 0  # instructions that there may be
    number: int = 10000  # of units that are counted

    @property
    def load(self):
        """The program, and its option for a number."""
        return ('http_load', '--requests') if self.what in ('http', 'tls') else ('ws_load', '--messages')


ROWS = [
    Counted('http', 'HTTP, kept alive', 'http', [], 3221),
    Counted('browser', 'the same with the headers of a browser', 'http',
            [part for header in BROWSER for part in ('--header', header)], 4984),
    Counted('pipelined', 'HTTP, 16 requests at once', 'http', ['--depth', '16'],
            number=64000), # up to 1,024 more are on their way when the load ends
    Counted('close', 'HTTP, a connection per request', 'http', ['--close'], number=2000),
    Counted('ws-32', 'echo of 32 bytes', 'ws', ['--path', '/echo', '--size', '32']),
    Counted('ws-16k', 'echo of 16 KiB of text', 'ws',
            ['--path', '/echo', '--size', '16384', '--text', '--connections', '4'], number=1000),
    Counted('broadcast-16', 'a delivery of 64 bytes, 16 on their way', 'ws',
            ['--path', '/broadcast', '--broadcast', '--connections', '100', '--size', '64', '--depth', '16'],
            number=32000),
    Counted('deflate', 'echo of 1 KiB by permessage-deflate', 'deflate',
            ['--path', '/echo', '--size', '1024', '--json', '--deflate'], number=2000),
    Counted('tls', 'https, kept alive', 'tls', ['--tls', '--connections', '8'], number=2000),
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

    def count(self, row, number):
        """Of `number` more of them: what connections cost is in both, and goes."""
        program, option = row.load

        def run(count):
            load(self.servers.build, program, self.server, [*row.arguments, option, str(count)],
                 seconds=60, warm_up=0)
            return self.dump()

        run(200)
        few = run(200)
        return run(200 + number) - few

    def stop(self):
        self.server.stop()
        self.folder.cleanup()


def can_count():
    return shutil.which('valgrind') and shutil.which('callgrind_control')


def measure_instructions(servers, rows):
    """{row's key: {server: Profile of its number of units}}. node is left out: what compiles as it
    goes can't be measured so."""
    found = {row.key: {} for row in rows}
    for what in dict.fromkeys(row.what for row in rows):
        for name in servers.names(what):
            if name in ('nginx', *servers.in_node):
                continue
            counted = Instructions(servers, name, what)
            try:
                for row in rows:
                    if row.what == what:
                        found[row.key][name] = counted.count(row, row.number)
            finally:
                counted.stop()
    return found


def allocations(profile):
    return max(0, sum(profile.calls[name] for name in ALLOCATIONS))  # what opening takes is subtracted


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
