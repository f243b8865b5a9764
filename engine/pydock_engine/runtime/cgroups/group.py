"""A container's groups, wherever its controllers are mounted."""

from __future__ import annotations


class Cgroup:
    """The groups of one container: limits go in, facts come out, in the end they are removed."""

    def oom_kills(self) -> int:
        """How many processes inside the kernel has killed for want of memory."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL to everything inside."""
        raise NotImplementedError

    def remove(self) -> None:
        """Removes the groups, emptied by `kill` if need be; missing ones are fine."""
        raise NotImplementedError


def find_group(container_id: str) -> Cgroup:
    """The groups a container of this id has now, whoever made them; removing none is fine.

    For repair after a monitor was killed: `find_group(id).remove()`.
    """
    raise NotImplementedError
