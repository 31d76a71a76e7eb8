"""Rows that are measured under load: what they send, and what Acacia is to reach beside others."""
import dataclasses
import json
import math
import statistics
import subprocess
import sys

from servers import LOAD_CPU, OUR_OWN, pinned

BROWSER = [
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) '
    'Chrome/126.0.0.0 Safari/537.36',
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
    'Accept-Language: en-US,en;q=0.9,de;q=0.8',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Cache-Control: no-cache',
    'Upgrade-Insecure-Requests: 1',
    'Sec-Fetch-Dest: document',
    'Sec-Fetch-Mode: navigate',
    'Sec-Fetch-Site: none',
    'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark',
]


@dataclasses.dataclass(eq=False)
class Row:
    key: str
    title: str
    what: str  # see Servers.names
    arguments: list
    targets: list = ()  # (of whom, how many times their CPU time Acacia may take)

    @property
    def program(self):
        return 'http_load' if self.what in ('http', 'tls') else 'ws_load'


def echo(key, title, size, connections, targets, *more, what='ws'):
    arguments = ['--path', '/echo', '--size', size, '--connections', connections, *more]
    return Row(key, title, what, [str(one) for one in arguments], targets)


def broadcast(key, title, depth):
    arguments = ['--path', '/broadcast', '--broadcast', '--connections', '500', '--size', '64',
                 '--depth', str(depth)]
    return Row(key, title, 'ws', arguments, [('uWebSockets', 1)])


UWS = [('uWebSockets', 1)]
UWS_TEXT = [('uWebSockets', 1 / 0.9)]

ROWS = [
    Row('http', 'HTTP, 64 connections kept alive', 'http', [], [('uWebSockets', 1), ('floor', 1.1)]),
    Row('pipelined', 'HTTP, 16 requests at once', 'http', ['--depth', '16'], UWS),
    Row('close', 'HTTP, a connection per request', 'http', ['--close'], [*UWS, ('nginx', 1)]),
    echo('ws-32', 'echo, 64 sockets, 32 bytes', 32, 64, UWS),
    echo('ws-16k', 'echo, 16 sockets, 16 KiB', 16 << 10, 16, UWS),
    echo('ws-16k-text', 'echo, 16 sockets, 16 KiB of text', 16 << 10, 16, UWS_TEXT, '--text'),
    echo('ws-1m', 'echo, 4 sockets, 1 MiB', 1 << 20, 4, UWS),
    echo('ws-1m-text', 'echo, 4 sockets, 1 MiB of text', 1 << 20, 4, UWS_TEXT, '--text'),
    broadcast('broadcast', 'broadcast of 64 bytes to 500 sockets', 1),
    broadcast('broadcast-16', 'broadcast of 64 bytes to 500 sockets, 16 on their way', 16),
    echo('deflate', 'echo, 64 sockets, 1 KiB of JSON by permessage-deflate', 1024, 64,
         [('node, ws', 1 / 3)], '--json', '--deflate', what='deflate'),
    Row('tls', 'https, 64 connections kept alive', 'tls', ['--tls']),
    Row('tls-pipelined', 'https, 16 requests at once', 'tls', ['--tls', '--depth', '16']),
    echo('tls-ws-32', 'wss echo, 64 sockets, 32 bytes', 32, 64, [], '--tls', what='wss'),
    echo('tls-ws-16k', 'wss echo, 16 sockets, 16 KiB', 16 << 10, 16, [], '--tls', what='wss'),
    echo('tls-ws-1m', 'wss echo, 4 sockets, 1 MiB', 1 << 20, 4, [], '--tls', what='wss'),
]


class Figures:
    """What the rounds have found for one server."""

    def __init__(self, results):
        self.results = results

    def median(self, value):
        return statistics.median(value(one) for one in self.results)

    @property
    def cpu(self):
        return self.median(cpu_of)

    @property
    def user(self):
        """The part of it that it is in all rounds together: the kernel counts it in large steps."""
        user, system = (sum(one[part] * one['count'] for one in self.results)
                        for part in ('user_us', 'system_us'))
        return self.cpu * user / (user + system)

    @property
    def system(self):
        return self.cpu - self.user

    @property
    def rate(self):
        return self.median(lambda one: one['count'] / one['seconds'])

    @property
    def spread(self):
        """Half the way from the least to the most, as a part of the median."""
        all_of_them = [cpu_of(one) for one in self.results]
        return (max(all_of_them) - min(all_of_them)) / 2 / self.cpu if self.cpu else 0


def cpu_of(result):
    return result['user_us'] + result['system_us']


LEAST_PAIRS = 30  # fewer may all have met the machine in one mood


class Ratios:
    """How many times the CPU time of one server another takes, by pairs of measurements."""

    def __init__(self, pairs):
        self.ratios = [cpu_of(ours) / cpu_of(theirs) for ours, theirs in pairs]

    @property
    def median(self):
        return statistics.median(self.ratios)

    @property
    def error(self):
        """Of the median: its standard error, by the median distance from it."""
        distance = statistics.median(abs(ratio - self.median) for ratio in self.ratios)
        return 1.25 * 1.48 * distance / math.sqrt(len(self.ratios))

    def is_clear(self, factor):
        """Is it certain enough on which side of `factor` it is?"""
        return len(self.ratios) >= LEAST_PAIRS and abs(self.median - factor) > 4 * self.error


def load(build, program, server, arguments, seconds, warm_up=0.15, timeout=60):
    command = [build / 'tests' / 'bench' / program, '--port', str(server.port), '--pids',
               str(server.pid), '--seconds', str(seconds), '--warm-up', str(warm_up), *arguments]
    done = subprocess.run(pinned(LOAD_CPU, command), capture_output=True, text=True,
                          timeout=timeout, check=False)
    if done.returncode != 0:
        raise RuntimeError(f'{server.name}: {done.stderr.strip()[:500]}')
    return json.loads(done.stdout)


failures = []  # of load, which leave a row without a server, and not everybody without a table


def try_load(found, build, program, server, arguments, seconds):
    """Adds a result to the list `found`, unless it has failed before."""
    if found is FAILED:
        return found
    try:
        return [*found, load(build, program, server, arguments, seconds)]
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(f'run: {error}', file=sys.stderr)
        failures.append(server.name)
        return FAILED


FAILED = ()


def measure(servers, row, rounds, seconds):
    """{server: Figures}, by rounds in which they take turns."""
    names = servers.names(row.what)
    results = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            results[name] = try_load(results[name], servers.build, row.program,
                                     servers.get(name, row.what), row.arguments, seconds)
    return {name: Figures(found) for name, found in results.items() if found}


def compare(servers, row, peer, factor, limit, seconds):
    """Ratios of Acacia to a peer, who take turns at being first, until it is clear whether `factor` is
    reached; at most `limit` pairs. None if one of them fails."""
    both = [servers.get(name, row.what) for name in (OUR_OWN, peer)]
    pairs = []
    while len(pairs) < limit and not (pairs and Ratios(pairs).is_clear(factor)):
        found = [(), ()]
        for i in (0, 1) if len(pairs) % 2 else (1, 0):
            found[i] = try_load([], servers.build, row.program, both[i], row.arguments, seconds)
        if not all(found):
            return None
        pairs.append((found[0][0], found[1][0]))
    return Ratios(pairs)
