"""Images: names, records, the collection behind `Engine.images`. Start at collection.py."""
