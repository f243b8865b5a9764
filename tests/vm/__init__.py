"""A machine with nothing but cgroup v2: Debian's kernel under qemu. Start with __main__.py.

`make test-vm` needs root, two processors and no KVM (software emulation, the same everywhere):

1. kept.py makes what lasts, kept in the tests' cache folder under a hash of what made it:
   `debian-…` (debootstrap, the kernel of `linux-image-amd64`, an initramfs with the modules of
   recipe.py) and `python-…` (the Python packages of setup.cfg). Nothing is mounted on the host, no
   loop device is used, and the kernel is unpacked in the new root only.
2. travel.py: the checkout goes in as a plain tar on a third disk, the results come back as one on
   a fourth.
3. machine.py boots, shows the console, and ends qemu. guest/initramfs finds the disks,
   guest/init mounts proc, sys, dev and one cgroup v2 hierarchy, and starts guest/passes.py.
4. guest/passes.py makes the groups systemd would, delegates one to each ordinary user, and runs
   the lines of selection.txt, each with its limit of time. Its last word on the console is
   `pydock-vm: status N`; a machine that ends without it has failed, and its console's end is shown.

`make test-vm ARGS="root tests/runtime -k memory"` runs that one pass instead of the selection.
What comes back (JUnit XML per pass, the console) lies in `build/vm/`.
"""
