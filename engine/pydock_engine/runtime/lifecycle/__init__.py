"""The runtime as a command: containers that outlive it, as runc's do. Start at create.py.

Other programs keep such a container (podman's conmon, containerd's shim); nothing of ours stays.
"""
