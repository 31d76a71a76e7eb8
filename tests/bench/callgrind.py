"""Reads what callgrind writes: self costs by function and source file, and how often what is called.

The format is described at https://valgrind.org/docs/manual/cl-format.html.
"""
import collections
import re

SUBPOSITION = re.compile(r'(c?(?:ob|fl|fi|fe|fn))=\((\d+)\)(?: (.*))?$')
COST = re.compile(r'[+\-*\d][\d]* (\d+)')


class Profile:
    def __init__(self, path):
        self.costs = collections.Counter()  # (object, file, function): instructions
        self.calls = collections.Counter()  # function: how often it was called
        names = {'ob': {}, 'fl': {}, 'fn': {}}
        place = {'ob': '', 'fl': '', 'fn': ''}
        callee, after_calls = '', False
        with open(path) as lines:
            for line in lines:
                match = SUBPOSITION.match(line)
                if match:
                    kind, number, name = match.groups()
                    table = names[{'fi': 'fl', 'fe': 'fl'}.get(kind.lstrip('c'), kind.lstrip('c'))]
                    if name is not None:
                        table[number] = name.strip()
                    value = table.get(number, '')
                    if kind == 'cfn':
                        callee = value
                    elif not kind.startswith('c'):
                        place['fl' if kind in ('fi', 'fe') else kind] = value
                elif line.startswith('calls='):
                    self.calls[callee] += int(line[6:].split()[0])
                    after_calls = True
                elif after_calls:
                    after_calls = False
                else:
                    match = COST.match(line)
                    if match:
                        self.costs[place['ob'], place['fl'], place['fn']] += int(match[1])

    def __sub__(self, other):
        self.costs.subtract(other.costs)
        self.calls.subtract(other.calls)
        return self

    def total(self):
        return sum(self.costs.values())

    def by(self, key):
        """Summed up by what `key` makes of object, file and function, the most first."""
        sums = collections.Counter()
        for place, cost in self.costs.items():
            sums[key(*place)] += cost
        return sums.most_common()


def layer(obj, file, _function):
    """Where the instruction comes from: a layer of the framework, or a library."""
    match = re.search(r'framework/(runtime|protocols|context|application)', file)
    if match:
        return match[1]
    for part, name in (('llhttp', 'llhttp'), ('tests/bench', 'the program'), ('middleware/', 'middleware')):
        if part in file:
            return name
    match = re.search(r'/(lib[a-z0-9_+]*[a-z])[-.\d]*\.so', obj)
    return match[1] if match else obj.rsplit('/', 1)[-1]
