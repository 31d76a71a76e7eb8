#!/usr/bin/env python3
"""A table of what `llvm-cov show` has printed: tests/coverage/run calls it."""
import re
import sys

LINE = re.compile(r'^ *(\d+)\| *([\d.]+[kMGT]?)?\|(.*)$')


def read(path):
    files, current = {}, None
    with open(path) as lines:
        for line in lines:
            match = LINE.match(line.rstrip('\n'))
            if match and current is not None:
                current.append((int(match[1]), match[2], match[3]))
            elif line.startswith('/') and line.rstrip().endswith(':'):
                name = line.rstrip()[:-1]
                current = None
                if '/framework/' in name:
                    current = files.setdefault(name[name.index('/framework/') + 1:], [])
    return files


def main():
    files = read(sys.argv[1])
    rows, total, reached = [], 0, 0
    with open(sys.argv[2], 'w') as missing:
        for name, lines in sorted(files.items()):
            code = [line for line in lines if line[1] is not None]
            bare = [line for line in code if line[1] == '0']
            rows.append((len(bare), len(code), name))
            total += len(code)
            reached += len(code) - len(bare)
            for number, _, text in bare:
                missing.write(f'{name}:{number}:{text}\n')
    print(f'{"lines":>7}{"missed":>8}{"reached":>10}')
    for bare, code, name in sorted(rows, key=lambda row: (-row[0], row[2])):
        print(f'{code:7}{bare:8}{100 * (code - bare) / max(code, 1):9.1f} %  {name}')
    print(f'{total:7}{total - reached:8}{100 * reached / total:9.1f} %  all')


main()
