"""Seccomp: from a profile of runtime-spec to a BPF program in the kernel, without a library.

Start at program.py: `program_for(profile, machine)` before the fork, `install(…)` after it.
"""
