"""How processes of one engine speak: typed messages over unix seqpacket sockets.

Start with messages.py (what is said), then channel.py (how it travels).
"""
