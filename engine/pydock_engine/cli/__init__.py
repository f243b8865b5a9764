"""The `pydock` command and the grammar it shares with the magics. Start at main.py (the shell) and
grammar/__init__.py (what can be said); values.py, mounts.py and environment.py read what is typed.
"""
