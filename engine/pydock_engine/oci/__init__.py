"""The three OCI specifications as typed documents. Start with media_types.py and image.py.

Only shapes and names live here, no behaviour: field names are the specifications' own.
"""
