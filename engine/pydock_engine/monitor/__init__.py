"""The process that keeps one container: stdio, log, exit status, time-out, removal.

Start with process.py (from fork to exit), then loop.py (while the container runs).
"""
