"""The WebSocket server of tests/support/ws_server.c, seen by python3-websockets: PORT [tls]. Says `ok`; ends with 77 if
there is no such package."""

import asyncio
import functools
import ssl
import sys

try:
    import websockets
except ImportError:
    sys.exit(77)

URL = f"ws://127.0.0.1:{sys.argv[1]}"
if "tls" in sys.argv:
    URL = URL.replace("ws:", "wss:")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    websockets.connect = functools.partial(websockets.connect, ssl=context)


async def echoes():
    async with websockets.connect(URL + "/echo") as ws:
        for message in ["hello", "κόσμε 😀", "", b"", b"\0\xff", "x" * 70000, bytes(1 << 20)]:
            await ws.send(message)
            assert await ws.recv() == message, message[:20]
        await ws.send(["in ", "three ", "fragments"])
        assert await ws.recv() == "in three fragments"
        await (await ws.ping(b"p"))


async def pipelined():
    async with websockets.connect(URL + "/echo/loop", max_queue=None) as ws:
        for i in range(1000):
            await ws.send(str(i))
        for i in range(1000):
            assert await ws.recv() == str(i)


async def closes():
    ws = await websockets.connect(URL + "/do")
    await ws.send("close 4000 enough")
    await ws.wait_closed()
    assert (ws.close_code, ws.close_reason) == (4000, "enough"), (ws.close_code, ws.close_reason)

    ws = await websockets.connect(URL + "/do")
    await ws.close(3001, "mine")
    assert (ws.close_code, ws.close_reason) == (3001, "mine"), (ws.close_code, ws.close_reason)

    ws = await websockets.connect(URL + "/do")
    await ws.send("terminate")
    await ws.wait_closed()
    assert ws.close_code == 1006, ws.close_code


async def handshakes():
    ws = await websockets.connect(URL + "/echo", subprotocols=["one", "two"])
    assert ws.subprotocol == "one", ws.subprotocol
    assert ws.extensions == [], ws.extensions
    await ws.close()
    for path, status in [("/nowhere", 404), ("/do?open=throw%20401%20no", 401)]:
        try:
            await websockets.connect(URL + path)
            raise AssertionError(path)
        except websockets.InvalidStatusCode as error:
            assert error.status_code == status, error.status_code


async def main():
    await asyncio.gather(echoes(), pipelined(), closes(), handshakes())


asyncio.run(asyncio.wait_for(main(), 20))
print("ok")
