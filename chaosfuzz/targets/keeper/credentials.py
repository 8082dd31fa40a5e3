"""Giving up root, and dying with the parent: the system calls that Python 3.11 lacks."""

import ctypes
import os
import pwd
import signal
from pathlib import Path
from typing import Literal

UnprivilegedWay = Literal["not-root", "user-namespace", "setuid"]

UNPRIVILEGED_USER = "nobody"
_NAMESPACE_ID = 1000
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def unprivileged_ids() -> tuple[int, int]:
    """Return the user and group id of the account that the `setuid` way changes to.

    Raises:
        KeyError: there is no such account.

    """
    account = pwd.getpwnam(UNPRIVILEGED_USER)
    return account.pw_uid, account.pw_gid


def become_unprivileged(way: UnprivilegedWay) -> None:
    """Give up root in this process for good.

    In a user namespace the process stays the owner of root's files, yet sees itself as an
    ordinary user, so that nothing needs another owner.

    Raises:
        OSError: the system refuses.
        KeyError: `setuid` without an account `nobody`.

    """
    if way == "user-namespace":
        outer_user_id, outer_group_id = os.geteuid(), os.getegid()
        _check(_libc.unshare(_CLONE_NEWUSER), "unshare(CLONE_NEWUSER)")
        own = Path("/proc/self")
        # The kernel accepts a group map only once setgroups is denied.
        (own / "setgroups").write_text("deny")
        (own / "uid_map").write_text(f"{_NAMESPACE_ID} {outer_user_id} 1")
        (own / "gid_map").write_text(f"{_NAMESPACE_ID} {outer_group_id} 1")
    elif way == "setuid":
        user_id, group_id = unprivileged_ids()
        os.setgroups([])
        os.setgid(group_id)
        os.setuid(user_id)


def probe_unprivileged_way() -> UnprivilegedWay:
    """Find out, in a short-lived child, which way works here; costs about 2 ms as root."""
    if os.geteuid() != 0:
        return "not-root"
    pid = os.fork()
    if pid == 0:
        exit_code = 1
        try:
            become_unprivileged("user-namespace")
            exit_code = 0 if os.geteuid() == _NAMESPACE_ID else 1
        finally:
            os._exit(exit_code)
    _pid, status = os.waitpid(pid, 0)
    return "user-namespace" if status == 0 else "setuid"


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel SIGKILL this process when its parent ends.

    Call it after every change of credentials, which would undo it.

    Raises:
        OSError: the system refuses.
        ProcessLookupError: the parent has ended already.

    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl(PDEATHSIG)")
    if os.getppid() != parent_pid:
        reason = f"the keeper {parent_pid} has ended"
        raise ProcessLookupError(reason)


def become_subreaper() -> None:
    """Adopt orphaned descendants, so that they can be found, killed and reaped.

    Raises:
        OSError: the system refuses.

    """
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(CHILD_SUBREAPER)")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
