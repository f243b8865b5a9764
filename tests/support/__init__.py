"""Real parts for tests: leaks.py, registry.py, images.py, user.py. Start with tests/conftest.py.

Fixtures made of them are in tests/conftest.py; rootless.py runs the tests again as ordinary users.
"""
