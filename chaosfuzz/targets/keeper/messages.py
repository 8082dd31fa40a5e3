"""JSON messages with file descriptors over a SOCK_SEQPACKET pair, one message a packet."""

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

# Chosen by hand: the largest message is a command line with its environment.
MAXIMUM_MESSAGE_BYTES = 128 * 1024
# Log, ready descriptor and two pipes.
_MAXIMUM_DESCRIPTORS = 4


def send(control: socket.socket, message: Mapping[str, object], descriptors: Sequence[int]) -> None:
    """Send one message; the receiver gets duplicates of the descriptors.

    Raises OSError if the other side is gone, if the message is longer than 128 KiB, or (as
    TimeoutError) if the receiver does not read within the socket's timeout.
    """
    packet = json.dumps(message).encode()
    if len(packet) > MAXIMUM_MESSAGE_BYTES:
        reason = f"a message of {len(packet)} bytes; at most {MAXIMUM_MESSAGE_BYTES} are possible"
        raise OSError(reason)
    socket.send_fds(control, [packet], list(descriptors))


def receive(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors (close-on-exec), None once the sender closed.

    Raises OSError if the socket failed or, as TimeoutError, if no message came in its timeout.
    """
    packet, descriptors, _flags, _address = socket.recv_fds(
        control, MAXIMUM_MESSAGE_BYTES, _MAXIMUM_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
    )
    if not packet:
        return None
    message: dict[str, Any] = json.loads(packet)
    return message, descriptors
