#!/usr/bin/env python3
"""Every C block in the documentation compiles."""
import os
import pathlib
import re
import subprocess
import sys

flags = ['-std=gnu17', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter',
         '-Wno-unused-function', '-fsyntax-only', '-I.', '-Iframework',
         '-I' + os.environ['BUILD_DIR'] + '/framework', '-x', 'c', '-']
features = (pathlib.Path(os.environ['BUILD_DIR']) / 'framework/acacia_features.h').read_text()
prelude = '#include <acacia.h>\n#include <stdio.h>\n#include <string.h>\n'
count = 0
failed = False
for path in [pathlib.Path('README.md'), *sorted(pathlib.Path('docs').glob('*.md'))]:
    text = path.read_text()
    for block in re.finditer(r'^```c\n(.*?)^```$', text, re.S | re.M):
        if 'redis_rooms.h' in block.group(1) and '#define ACACIA_HAVE_REDIS' not in features:
            continue
        line = text.count('\n', 0, block.start()) + 2
        source = f'{prelude}#line {line} "{path}"\n{block.group(1)}'
        result = subprocess.run(['cc', *flags], input=source, text=True, capture_output=True)
        count += 1
        if result.returncode:
            failed = True
            print(result.stderr)
print(f'{count} snippets')
sys.exit(failed or count == 0)
