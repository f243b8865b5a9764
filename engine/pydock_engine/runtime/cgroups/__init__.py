"""Control groups, v1, hybrid and v2: one group per controller and container. Start at group.py."""

from .group import Cgroup, find_group

__all__ = ["Cgroup", "find_group"]
