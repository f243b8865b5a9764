"""The OCI runtime: from a runtime-spec document to a process. Start at create.py.

syscalls.py is the kernel's door and the only user of ctypes.
"""
