#!/usr/bin/env python3
# Reads a source without libomni, by the offsets of omni-segment(5): read_status.py /dev/shm/omni.robot [COUNT]
# One line of JSON a tick, with the number of ticks that it missed before; ends when the source does.
import json, math, mmap, struct, sys, time

if len(sys.argv) < 2:
    sys.exit("write for example: read_status.py /dev/shm/omni.robot 10")
try:
    file = open(sys.argv[1], "rb")
except OSError as error:
    sys.exit(f"{error}; omni-observer list names the sources")
memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
word = lambda at: struct.unpack_from("<I", memory, at)[0]
(magic, layout, order, _, _, incompatible, _, whole) = struct.unpack_from("<8s6IQ", memory, 0)
if magic != b"OMNISTAT" or layout != 1 or order != 0x01020304 or incompatible != 0 or whole > len(memory):
    sys.exit(f"{sys.argv[1]} is no segment that this program can read")
(period,) = struct.unpack_from("<Q", memory, 56)
(table, fields, entry, text, _, ring, slots, slot, payload) = struct.unpack_from("<9I", memory, 64)

def string(at):  # from the text pool; and where the next one begins
    end = memory.find(b"\0", text + at)
    return memory[text + at : end].decode(), end + 1 - text

def reader(at):  # of one entry of the table: a name, and a function that takes a payload to pieces
    name, _, kind, count, offset, _, _, _, _, labels, label_count = struct.unpack_from("<32s16s4I2d3I", memory, at)
    words = []
    for _ in range(label_count):
        label, labels = string(labels)
        words.append(label)
    form = f"<{count}{' ?bBhHiIqQfdBs'[kind]}"
    def plain(value):
        if kind == 12:
            return words[value] if value < len(words) else value
        return None if isinstance(value, float) and not math.isfinite(value) else value
    def read(bytes):
        values = [plain(value) for value in struct.unpack_from(form, bytes, offset)]
        return values[0].split(b"\0")[0].decode() if kind == 13 else values[0] if count == 1 else values
    return name.split(b"\0")[0].decode(), read

readers = dict(reader(table + entry * i) for i in range(fields))

def take(version):  # the tick of that version, whole, or None
    at = ring + (version & (slots - 1)) * slot
    if word(at) != version:
        return None
    (tick,) = struct.unpack_from("<Q", memory, at + 8)
    copy = memory[at + 32 : at + 32 + payload]
    return (tick, copy) if word(at) == version and word(whole - 64) == 0x21444E45 else None

seen, last, left, heard = 0, None, int(sys.argv[2]) if len(sys.argv) > 2 else -1, time.monotonic()
while left != 0:
    closed = word(196) == 2  # asked before the newest: what it published last is not lost
    newest = word(192)
    lapped = last is None or (newest - seen) % 2**32 >= slots
    version = newest if lapped else max((seen + 1) % 2**32, 1)
    got = take(version) if newest not in (0, seen) else None
    if got:
        tick, copy = got
        missed = tick - last - 1 if last is not None else 0
        print(json.dumps({"tick": tick, "missed": missed, "values": {name: read(copy) for name, read in readers.items()}}), flush=True)
        seen, last, left, heard = version, tick, left - 1, time.monotonic()
    elif closed:
        break
    elif period and time.monotonic() - heard > max(0.5, 5e-9 * period):
        sys.exit("silent: what was shown last is old")
    else:
        time.sleep(0.001)
