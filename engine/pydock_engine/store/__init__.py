"""What is kept on disk: blobs, the OCI layout, the SQLite index. Start at cas.py, then images.py.

The bytes are the truth; `index.json` is derived from the database and rewritten when it lags.
"""
