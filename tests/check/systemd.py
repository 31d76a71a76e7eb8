#!/usr/bin/env python3
"""systemd understands the unit of docs/deployment.md, and finds its sandbox tight."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

if not shutil.which('systemd-analyze'):
    print('no systemd-analyze (apt install systemd)')
    sys.exit(77)

docs = pathlib.Path('docs/deployment.md').read_text()
blocks = re.findall(r'^```ini\n(.*?)^```$', docs, re.S | re.M)
services = [block for block in blocks if '[Service]' in block]
failed = len(services) != 1
for service in services:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'my-app.service'
        path.write_text(service.replace('/usr/local/bin/my-app', shutil.which('true')))
        # Exposure is out of 100 here: 2.0 in what it prints.
        for command in ['verify'], ['security', '--offline=true', '--threshold=20']:
            result = subprocess.run(['systemd-analyze', *command, str(path)], text=True,
                                    capture_output=True)
            if result.returncode and 'unrecognized option' in result.stderr:
                print('systemd-analyze is too old for', *command)
                continue
            complaints = [line for line in result.stderr.splitlines() if 'my-app' in line]
            if result.returncode or (command == ['verify'] and complaints):
                print(*command, result.returncode, result.stdout[-2000:], result.stderr, sep='\n')
                failed = True
sys.exit(failed)
