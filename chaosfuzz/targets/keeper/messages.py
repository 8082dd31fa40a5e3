"""JSON messages with descriptors over a SOCK_SEQPACKET pair: one packet, one message."""

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

MAXIMUM_MESSAGE_BYTES = 128 * 1024
_MAXIMUM_DESCRIPTORS = 4


def send(control: socket.socket, message: Mapping[str, object], descriptors: Sequence[int]) -> None:
    """Send one message; the descriptors are duplicated into the receiver.

    Raises:
        OSError: the other side is gone, or the message is over `MAXIMUM_MESSAGE_BYTES`.
        socket.timeout: the socket has a timeout and the receiver does not read.

    """
    packet = json.dumps(message).encode()
    if len(packet) > MAXIMUM_MESSAGE_BYTES:
        reason = f"a message of {len(packet)} bytes; at most {MAXIMUM_MESSAGE_BYTES} are possible"
        raise OSError(reason)
    socket.send_fds(control, [packet], list(descriptors))


def receive(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors (close-on-exec), or None at the end.

    Raises:
        OSError: the socket failed.
        socket.timeout: the socket has a timeout and nothing arrived.

    """
    packet, descriptors, _flags, _address = socket.recv_fds(
        control, MAXIMUM_MESSAGE_BYTES, _MAXIMUM_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
    )
    if not packet:
        return None
    message: dict[str, Any] = json.loads(packet)
    return message, descriptors
