"""A client of OCI distribution-spec registries. Start at client.py.

transport.py moves bytes, auth.py answers challenges, failures.py turns refusals into errors.
"""
