"""What a container's root is mounted from. Start at overlay.py."""
