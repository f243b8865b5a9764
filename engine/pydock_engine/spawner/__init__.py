"""The warm process that forks jobs and monitors, and the client's door to it.

Start with client.py (what an engine calls), then process.py (the loop on the other side).
"""
