"""Containers as the engine's callers see them. Start at collection.py (`Engine.containers`).

options.py is what may be asked for, spec.py turns it into a runtime-spec document, records.py is
what comes back.
"""
