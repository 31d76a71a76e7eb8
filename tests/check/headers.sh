#!/bin/sh
# Each public header compiles alone, as strict C11 and as C++. (libuv's own needs POSIX beside it.)
set -eu
flags="-Wall -Wextra -Wpedantic -Werror -D_POSIX_C_SOURCE=200809L -fsyntax-only -Iframework -I$BUILD_DIR/framework"
flags="$flags $(pkg-config --cflags libuv)"
for header in acacia app await await_fs cookies ctx inject request response route router sse websocket ws_client; do
    echo "#include \"$header.h\"" | cc -std=c11 -x c $flags -
    echo "#include \"$header.h\"" | c++ -std=c++17 -x c++ $flags -
done
for header in middleware/*.h; do
    [ -e "$header" ] || continue
    echo "#include \"$header\"" | cc -std=c11 -x c $flags -I. -
    echo "#include \"$header\"" | c++ -std=c++17 -x c++ $flags -I. -
done
