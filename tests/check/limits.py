#!/usr/bin/env python3
"""Each limit of the public headers stands in docs/limits.md, and what stands there is one."""
import pathlib
import re
import sys

# Numbers that limit nothing, but choose.
SETTINGS = {
    'ws_deflate_t': {'server_no_context_takeover', 'client_no_context_takeover',
                     'server_max_window_bits', 'client_max_window_bits', 'level', 'memory_level'},
    'cookie_options_t': {'max_age', 'expires'},
    'throw_options_t': {'status', 'code'},
    'compression_options_t': {'gzip_level', 'deflate_level', 'brotli_quality', 'zstd_level'},
    'json_pretty_options_t': {'spaces'},
    'jwt_key_options_t': {'secret_length'},
    'jwt_checks_t': {'clock_tolerance'},
    'jwt_sign_options_t': {'expires_in', 'not_before'},
    'rate_limit_options_t': {'ipv6_prefix', 'status'},
    'timeout_options_t': {'status', 'retry_after'},
}
NUMBERS = r'(?:size_t|u?int\d+_t|int|unsigned|long)'

documented = set(re.findall(r'`\.?(?:[a-z_]+\.)*([a-z_]+)`', pathlib.Path('docs/limits.md').read_text()))
failures = []
count = 0
for header in [*sorted(pathlib.Path('framework').glob('*.h')),
               *sorted(pathlib.Path('middleware').glob('*.h'))]:
    text = re.sub(r'/\*.*?\*/', '', header.read_text(), flags=re.S)
    structs = re.findall(r'struct (\w*) ?\{([^}]*)\}\s*(\w*);', text)
    for tag, fields, name in structs:
        name = name or tag
        if not re.search(r'_(options|checks|deflate)(_t)?$', name):
            continue
        for names in re.findall(rf'^\s+{NUMBERS}\s+([\w\s,]+);', fields, re.M):
            for field in re.findall(r'\w+', names):
                if field in SETTINGS.get(name, ()):
                    continue
                count += 1
                if field not in documented:
                    failures.append(f'{header}: {name}.{field} is not in docs/limits.md')

print('\n'.join(failures) or f'{count} limits')
sys.exit(bool(failures) or count < 50)
