"""Control groups, v1, hybrid and v2: what a container may use. Start at group.py."""
