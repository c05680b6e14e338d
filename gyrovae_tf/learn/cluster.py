"""Who trains together: TF_CONFIG read, all workers met and compared before TensorFlow waits for any of them.

Each worker tells the first what it was given; the first one compares, and answers with what all of them begin with, or
with what does not fit. TensorFlow itself would wait for one that never comes for an hour, and train on whatever each
has. Nothing of this is encrypted, as nothing of TensorFlow's own traffic is: a network of one's own is meant.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gyrovae_tf.errors import GyrovaeError

PATIENCE_S = 120.0
"""How long workers wait for each other at the beginning."""
_KINDS = ("chief", "worker")
_EXAMPLE = (
    'TF_CONFIG=\'{"cluster": {"worker": ["HOST1:2222", "HOST2:2222"]}, "task": {"type": "worker", "index": 0}}\', '
    "index 1 on HOST2"
)
_HEAD = struct.Struct("<II")
_LARGEST = 1 << 30  # bytes of what the first answers: weights of the largest network, and more
_LARGEST_GUEST = 1 << 20  # of what others tell it
_KNOCK_S = 5.0  # for one that has connected to say who it is
_PAUSE_S = 0.2


@dataclass(frozen=True)
class Cluster:
    """Workers by their addresses, the first one first, and which of them this process is."""

    addresses: tuple[str, ...]
    index: int

    @property
    def is_first(self) -> bool:
        """Whether this worker is the one that writes."""
        return self.index == 0

    @property
    def me(self) -> str:
        """What messages call this worker."""
        return f"worker {self.index} of {len(self.addresses)}"


def from_environment() -> Cluster:
    """TF_CONFIG in, the cluster out; `GyrovaeError` tells what in it is missing or malformed."""
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        raise GyrovaeError("the variable TF_CONFIG is not set", expected=_EXAMPLE)
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GyrovaeError(f"TF_CONFIG is not JSON: {error}", expected=_EXAMPLE) from None
    cluster = raw.get("cluster") if isinstance(raw, dict) else None
    task = raw.get("task") if isinstance(raw, dict) else None
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise GyrovaeError("TF_CONFIG lacks cluster or task", expected=_EXAMPLE)
    odd = [kind for kind in cluster if kind not in _KINDS]
    if odd:
        raise GyrovaeError(f"TF_CONFIG has tasks of another kind: {', '.join(odd)}", expected=" and ".join(_KINDS))
    places: list[tuple[str, int]] = []
    addresses: list[str] = []
    for kind in _KINDS:
        found = cluster.get(kind, [])
        if not (isinstance(found, list) and all(_is_address(one) for one in found)):
            raise GyrovaeError(f"TF_CONFIG: {kind} is no list of addresses", expected='["HOST:PORT", ...]')
        places += [(kind, number) for number in range(len(found))]
        addresses += found
    if len(cluster.get("chief", [])) > 1:
        raise GyrovaeError("TF_CONFIG has several chiefs", expected="one at the most")
    if len(set(addresses)) < len(addresses):
        raise GyrovaeError("TF_CONFIG has an address twice", received=", ".join(addresses))
    index = task.get("index")
    mine = task.get("type"), index
    if type(index) is not int or mine not in places:
        raise GyrovaeError(
            "TF_CONFIG: the task is none of the cluster",
            expected=", ".join(f"{kind} {number}" for kind, number in places) or _EXAMPLE,
            received=f"{mine[0]} {index}",
        )
    return Cluster(tuple(addresses), places.index((mine[0], index)))


def _is_address(value: object) -> bool:
    host, sign, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(host and sign) and port.isdecimal() and 0 < int(port) < 1 << 16


def meet(
    cluster: Cluster, mine: Mapping[str, Any], given: tuple[Mapping[str, Any], bytes], patience_s: float = PATIENCE_S
) -> tuple[dict[str, Any], bytes]:
    """A cluster, what this worker was given, and what the first has for all in; what all of them begin with out.

    What workers were given must be equal to what the first was, but for values that are None: these it supplies.
    `GyrovaeError` on all of them when one differs, or does not come in time.
    """
    if len(cluster.addresses) == 1:
        return dict(given[0]), given[1]
    limit = time.monotonic() + patience_s
    return _receive_all(cluster, mine, given, limit) if cluster.is_first else _ask(cluster, mine, limit, patience_s)


def _receive_all(
    cluster: Cluster, mine: Mapping[str, Any], given: tuple[Mapping[str, Any], bytes], limit: float
) -> tuple[dict[str, Any], bytes]:
    """The first worker's side: wait for all others, compare, and answer."""
    waiting = set(range(1, len(cluster.addresses)))
    guests: dict[int, socket.socket] = {}
    problem = ""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_listening(cluster))
        while waiting and not problem:
            server.settimeout(max(limit - time.monotonic(), 0.01))
            try:
                guest = stack.enter_context(server.accept()[0])
            except TimeoutError:
                missing = ", ".join(f"{index} ({cluster.addresses[index]})" for index in sorted(waiting))
                problem = f"did not come in time: worker {missing}"
                continue
            guest.settimeout(_KNOCK_S)
            try:
                said = _received(guest, _LARGEST_GUEST)[0]
            except (OSError, EOFError, ValueError, RecursionError):  # somebody else knocked at this port
                continue
            index = said.get("index")
            if type(index) is not int:
                continue
            if said.get("addresses") != list(cluster.addresses):
                problem = "the workers' TF_CONFIG name different clusters"
            elif index not in waiting:
                problem = f"worker {index} came twice: two processes have the same TF_CONFIG"
            else:
                problem = _differences(index, mine, said.get("given"))
            guests[index] = guest
            waiting.discard(index)
        answer = {"problem": problem} if problem else dict(given[0])
        for guest in guests.values():
            with contextlib.suppress(OSError):  # it has given up, and will be missed soon enough
                _send(guest, answer, b"" if problem else given[1])
    if problem:
        raise GyrovaeError(f"the workers cannot train together: {problem}")
    return dict(given[0]), given[1]


def _differences(index: int, mine: Mapping[str, Any], other: Any) -> str:
    if not isinstance(other, dict) or set(other) != set(mine):
        return f"worker {index} is of another version of gyrovae-tf"
    here = json.loads(json.dumps(dict(mine)))
    changed = [name for name, value in other.items() if value is not None and value != here[name]]
    return f"worker {index} was given another {', another '.join(changed)}" if changed else ""


def _ask(cluster: Cluster, mine: Mapping[str, Any], limit: float, patience_s: float) -> tuple[dict[str, Any], bytes]:
    """The others' side: tell the first, and take what it answers."""
    host, _, port = cluster.addresses[0].rpartition(":")
    said = {"index": cluster.index, "addresses": list(cluster.addresses), "given": dict(mine)}
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S) as first:
                _send(first, said, b"")
                # The first one answers when all have come, or when its own time is up.
                first.settimeout(max(limit - time.monotonic(), 0.01) + patience_s)
                answer, content = _received(first)
                break
        except (OSError, EOFError, ValueError) as error:
            if time.monotonic() > limit:
                raise GyrovaeError(
                    f"the first worker does not answer at {cluster.addresses[0]}: {error}",
                    remedy="Start the same command there, with its own TF_CONFIG; is the port open?",
                ) from None
            time.sleep(_PAUSE_S)
    if "problem" in answer:
        raise GyrovaeError(f"the workers cannot train together: {answer['problem']}")
    return answer, content


def _listening(cluster: Cluster) -> socket.socket:
    host, _, port = cluster.addresses[0].rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server(("", int(port)), family=family, backlog=len(cluster.addresses))
    except OSError as error:
        raise GyrovaeError(
            f"cannot listen at port {port}, which TF_CONFIG names for this worker: {error.strerror or error}"
        ) from None
    return server


def _send(to: socket.socket, said: Mapping[str, Any], content: bytes) -> None:
    head = json.dumps(said).encode()
    to.sendall(_HEAD.pack(len(head), len(content)) + head + content)


def _received(source: socket.socket, largest: int = _LARGEST) -> tuple[dict[str, Any], bytes]:
    sizes = _HEAD.unpack(_exactly(source, _HEAD.size))
    if sum(sizes) > largest:
        raise ValueError("too much")
    head, content = (_exactly(source, size) for size in sizes)
    said = json.loads(head)
    if not isinstance(said, dict):
        raise ValueError("not an object")
    return said, content


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = source.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
