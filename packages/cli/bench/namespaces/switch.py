"""A network switch in user space, for namespaces: each port is a TAP device with a delay, a loss and a rate.

The kernel's netem would do the same, where it is built in; many virtual machines lack it. Argument: JSON
{"ports": [{"name", "namespace", "bitsPerSecond" or null}], "delayMs", "loss", "seed"}. Standard input: lines of JSON,
each the list of groups (lists of ports) between which frames pass; a port in no group is unplugged. It ends with its
input: then the devices are gone, and the namespaces are removed, however the process that made them ended.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME_BYTES_MAX = 65_536
# A slow link's queue; what would wait longer is dropped, as a router does.
QUEUE_SECONDS_MAX = 0.5


class Port:
    def __init__(self, name, bits_per_second):
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
        self.bits_per_second = bits_per_second
        self.group = 0
        self.free_at = {"up": 0.0, "down": 0.0}

    def departs_at(self, direction, now, length):
        """When a frame has left this port's link, or None when its queue is full."""
        if not self.bits_per_second:
            return now
        start = max(now, self.free_at[direction])
        if start - now > QUEUE_SECONDS_MAX:
            return None
        self.free_at[direction] = start + length * 8 / self.bits_per_second
        return self.free_at[direction]


class Switch:
    def __init__(self, ports, delay, loss, seed):
        self.ports = ports
        self.delay = delay
        self.loss = loss
        self.random = random.Random(seed)
        self.addresses = {}
        self.events = []
        self.counter = 0

    def later(self, at, action, port, frame):
        self.counter += 1
        heapq.heappush(self.events, (at, self.counter, action, port, frame))

    def arrived(self, source, frame, now):
        target, sender = frame[:6], frame[6:12]
        self.addresses[sender] = source
        known = self.addresses.get(target)
        targets = [known] if known else [port for port in self.ports if port is not source]
        left = source.departs_at("up", now, len(frame))
        if left is None:
            return
        for port in targets:
            if port is not source and port.group == source.group and port.group is not None:
                if self.random.random() >= self.loss:
                    self.later(left + self.delay, "reach", port, frame)

    def perform_due(self, now):
        while self.events and self.events[0][0] <= now:
            _, _, action, port, frame = heapq.heappop(self.events)
            if action == "reach":
                left = port.departs_at("down", now, len(frame))
                if left is not None:
                    self.later(left, "deliver", port, frame)
                continue
            try:
                os.write(port.fd, frame)
            except OSError:
                pass

    def regroup(self, groups):
        for index, port in enumerate(self.ports):
            port.group = next((g for g, members in enumerate(groups) if index in members), None)


def main():
    plan = json.loads(sys.argv[1])
    ports = [Port(port["name"], port["bitsPerSecond"]) for port in plan["ports"]]
    switch = Switch(ports, plan["delayMs"] / 1000, plan["loss"], plan["seed"])
    by_fd = {port.fd: port for port in ports}
    poll = select.epoll()
    for fd in [*by_fd, 0]:
        poll.register(fd, select.EPOLLIN)
    print("ready", flush=True)
    commands = b""
    while True:
        now = time.monotonic()
        wait = max(0.0, switch.events[0][0] - now) if switch.events else 1.0
        for fd, _ in poll.poll(wait):
            if fd == 0:
                read = os.read(0, 4096)
                if not read:
                    for port in plan["ports"]:
                        remove = ["ip", "netns", "del", port["namespace"]]
                        subprocess.run(remove, stderr=subprocess.DEVNULL, check=False)
                    return
                *lines, commands = (commands + read).split(b"\n")
                for line in lines:
                    switch.regroup(json.loads(line))
                    print("regrouped", flush=True)
                continue
            for _ in range(64):
                try:
                    frame = os.read(fd, FRAME_BYTES_MAX)
                except OSError:
                    break
                switch.arrived(by_fd[fd], frame, time.monotonic())
        switch.perform_due(time.monotonic())


main()
