"""Hands a terminal's master to whoever listens at `--console-socket`, as runc does."""

from __future__ import annotations

import array
import os
import socket

from ... import errors


def connect_console(path: str) -> socket.socket:
    """Raises UsageError when nobody listens there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # By way of the folder: the path may be longer than an address may be.
        sock.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    except OSError as error:
        sock.close()
        reason = os.strerror(error.errno or 0).lower()
        raise errors.UsageError(f"console socket {path}: {reason}") from error
    finally:
        os.close(folder)
    return sock


def hand_over(sock: socket.socket, master: int) -> None:
    """One message: the name of the device, and its master as SCM_RIGHTS."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))]
    sock.sendmsg([b"/dev/ptmx"], rights)
