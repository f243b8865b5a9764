"""What the README's figures come from; `make bench` runs every module that has `measure()`.

A benchmark is a module here with a function `measure() -> Iterable[Comparison]`; it builds its
contenders with harness.py and lets `compare` time them. Start at harness.py.
"""
