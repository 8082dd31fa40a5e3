"""System calls that Python 3.11 lacks: give up root, end with the parent, adopt orphans."""

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
    """Return the user id and group id of `nobody`; raise KeyError without such an account."""
    account = pwd.getpwnam(UNPRIVILEGED_USER)
    return account.pw_uid, account.pw_gid


def become_unprivileged(way: UnprivilegedWay) -> None:
    """Give up root in this process for good; `not-root` does nothing.

    `setuid` becomes the account `nobody`. `user-namespace` makes the process an ordinary user in
    its own eyes, while it stays the owner of root's files, so that no file changes its owner.
    Raises OSError if the system refuses, KeyError if `setuid` finds no account `nobody`.
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
    """Return the way of giving up root that works here.

    As root it is tried in a child, about 2 ms; if that fails, the answer is `setuid`.
    """
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

    A later change of credentials undoes it. Raises OSError if the system refuses, and
    ProcessLookupError if `parent_pid` is not the parent, because the parent has ended already.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl(PDEATHSIG)")
    if os.getppid() != parent_pid:
        reason = f"the keeper {parent_pid} has ended"
        raise ProcessLookupError(reason)


def become_subreaper() -> None:
    """Make this process the parent of its orphaned descendants; raise OSError if refused."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(CHILD_SUBREAPER)")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
