"""What runs inside the machine, in order: initramfs, init, passes.py."""
