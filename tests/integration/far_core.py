"""The other core, for relay.test.mjs: raw Ethernet frames by Python's own sockets, and who closed which file.

    python3 far_core.py INTERFACE ETHERTYPE

Each line on standard input is a JSON list, the first item of which is one of the functions below; each is answered by a line.
"""

import ctypes
import json
import os
import random
import socket
import struct
import sys
import threading

SO_RCVBUFFORCE = 33
IN_CLOSE_WRITE = 8
ROOM = 64 << 20

interface, ethertype = sys.argv[1], int(sys.argv[2], 0)
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
link.bind((interface, ethertype))
own = link.getsockname()[4]
frames = []
closings = []


def receive():
    while True:
        try:
            frames.append(link.recv(4096))
        except OSError:  # the interface is down, or gone
            try:
                link.bind((interface, ethertype))
            except OSError:
                return


def address():
    return own.hex(":")


def count():
    return len(frames)


def take():
    """All frames that came since the last time, in hexadecimal digits."""
    taken = frames[:]
    del frames[: len(taken)]
    return [frame.hex() for frame in taken]


def send(*payloads):
    """Sends each payload, filled up as a network card does it."""
    for payload in payloads:
        frame(b"\xff" * 6, own, ethertype, payload.encode())
    return len(payloads)


def frame(destination, source, kind, payload):
    link.send(destination + source + struct.pack("!H", kind) + payload.ljust(46, b"\0"))


def raw(*frames):
    """Sends whole frames, given in hexadecimal digits."""
    for one in frames:
        link.send(bytes.fromhex(one))
    return len(frames)


def burst(number, *payloads):
    """So many frames as fast as it can, the payloads in turns."""
    head = b"\xff" * 6 + own + struct.pack("!H", ethertype)
    ready = [head + payload.encode() for payload in payloads]
    for i in range(number):
        link.send(ready[i % len(ready)])
    return number


def noise(number, seed):
    """So many frames of that EtherType with random payloads of random lengths."""
    chance = random.Random(seed)
    head = b"\xff" * 6 + own + struct.pack("!H", ethertype)
    for _ in range(number):
        length = chance.choice((0, 1, chance.randrange(64), chance.randrange(1500)))
        alphabet = chance.choice((256, 128, 1))
        link.send(head + bytes(chance.randrange(alphabet) for _ in range(length)))
    return number


def watch(directory, *names):
    """From now on, whoever closes one of these files there after writing is noted. They are made where they are missing.

    The files are watched, not the directory: what happens to others needs no room in the kernel's queue."""
    libc = ctypes.CDLL(None, use_errno=True)
    watcher = libc.inotify_init1(os.O_CLOEXEC)
    watched = {}
    for name in names:
        path = os.path.join(directory, name)
        open(path, "a").close()
        watch = libc.inotify_add_watch(watcher, path.encode(), IN_CLOSE_WRITE)
        if watch < 0:
            raise OSError(ctypes.get_errno(), path)
        watched[watch] = name
    threading.Thread(target=note, args=(watcher, watched), daemon=True).start()
    return True


def note(watcher, watched):
    while True:
        events = os.read(watcher, 1 << 20)
        while events:
            watch, _, _, length = struct.unpack_from("iIII", events)
            closings.append(watched.get(watch, "?"))
            events = events[16 + length :]


def closed():
    """Names of the files that were closed since the last time."""
    taken = closings[:]
    del closings[: len(taken)]
    return taken


threading.Thread(target=receive, daemon=True).start()
functions = {f.__name__: f for f in (address, count, take, send, raw, burst, noise, watch, closed)}
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps(functions[name](*arguments)), flush=True)
