"""The base layer of the local image: a shell, the usual small tools, and what they need."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from .host_tree import Tree
from .shared_objects import Libraries

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_TOOLS: Final = """
sh dash bash busybox [ arch b2sum base32 base64 basename cat chgrp chmod chown cksum comm cp
csplit cut date dd df dir dircolors dirname du echo env expand expr factor false fmt fold groups
head hostid id install join link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup
nproc numfmt od paste pathchk pr printenv printf ptx pwd readlink realpath rm rmdir seq sha1sum
sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum sync
tac tail tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink users wc
who whoami yes awk bzip2 clear cmp col diff egrep fgrep find free getconf getent grep gunzip
gzip hostname kill ldd less locale more pgrep pkill ps rev sed su tar top uptime watch which
xargs xz zcat
"""
_LOADED_AT_RUN_TIME: Final = ("libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2")
"""glibc opens these by name: to cancel a thread, and (before 2.34) to look up names."""

_FOR_WHEELS: Final = (
    "libstdc++.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
)
"""What a compiled package may count on (PEP 600, manylinux) and the programs above do not need;
glibc has kept the last four as empty shells since 2.34.
"""

_FOLDERS: Final = (
    "dev etc home mnt opt proc run srv sys usr/local/bin usr/local/lib usr/sbin var/lib"
)
_SPECIAL_FOLDERS: Final = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
_CERTIFICATES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
)
_CERTIFICATES_AT: Final = "/etc/ssl/certs/ca-certificates.crt"
_CERTIFICATE_LINKS: Final = ("/etc/ssl/cert.pem", "/usr/lib/ssl/cert.pem", "/etc/pki/tls/cert.pem")
"""Where the OpenSSL of one or the other distribution looks unless told otherwise."""
_TERMINALS: Final = "ansi dumb linux screen vt100 xterm xterm-256color"
_TERMINFO: Final = ("/usr/share/terminfo", "/lib/terminfo", "/etc/terminfo")
_ZONES: Final = ("/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/Etc/UTC")

_USERS: Final = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
_GROUPS: Final = """\
root:x:0:
daemon:x:1:
bin:x:2:
tty:x:5:
www-data:x:33:
users:x:100:
nogroup:x:65534:
"""
_PROFILE: Final = f"""\
export PATH={PATH}
[ "$(id -u)" = 0 ] && PS1='# ' || PS1='$ '
"""


def base_layer(libraries: Libraries) -> Tree:
    """Everything but Python. Tools the machine does not have are left out."""
    tree = Tree()
    for path in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{path}"):
            tree.link(f"/{path}", os.readlink(f"/{path}"))
    for path in _FOLDERS.split():
        tree.folder(f"/{path}")
    for path, mode in _SPECIAL_FOLDERS.items():
        tree.folder(f"/{path}", mode)
    programs = [found for tool in _TOOLS.split() if (found := find_tool(tool))]
    for program in programs:
        tree.host(program)
    if "/bin/sh" not in tree and not os.path.islink("/bin"):
        tree.link("/bin/sh", "bash")
    add_libraries(tree, libraries, programs, by_name=_LOADED_AT_RUN_TIME + _FOR_WHEELS)
    _add_configuration(tree)
    return tree


def add_libraries(
    tree: Tree,
    libraries: Libraries,
    programs: Sequence[str],
    *,
    place: Callable[[str], str] = lambda path: path,
    by_name: Sequence[str] = (),
) -> None:
    """Adds what `programs` are linked against, and libraries that are only loaded `by_name`.

    `place` says where a file goes that does not keep its path. A library outside of the folder
    libc is in gets a link there: the image has no ld.so.cache that would lead to it.
    """
    wanted = libraries.closure(programs)
    for name in by_name:
        if path := libraries.named(name, programs[0]):
            wanted |= {path, *libraries.closure([path])}
    usual = _folder_of_libc(libraries, programs)
    for path in sorted(wanted):
        real = os.path.realpath(path)
        at = place(real)
        name = os.path.basename(path)
        if at == real:
            tree.host(path)
        else:
            tree.host(real, at=at)
            tree.link(f"{os.path.dirname(at)}/{name}", os.path.basename(at))
        if os.path.dirname(at) != usual:
            tree.link(f"{usual}/{name}", at)


def _folder_of_libc(libraries: Libraries, programs: Sequence[str]) -> str:
    for name in ("libc.so.6", "libc.so"):
        for program in programs:
            if path := libraries.named(name, program):
                return os.path.dirname(os.path.realpath(path))
    return "/usr/lib"


def find_tool(name: str) -> str | None:
    """Where this machine keeps a program: in the system's folders, not in somebody's PATH."""
    for folder in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        path = f"{folder}/{name}"
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _add_configuration(tree: Tree) -> None:
    tree.text("/etc/passwd", _USERS)
    tree.text("/etc/group", _GROUPS)
    tree.text("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    tree.text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    tree.text("/etc/profile", _PROFILE)
    tree.host("/etc/os-release")
    tree.text("/etc/os-release", "ID=linux\nNAME=Linux\n")
    bundle = next((path for path in _CERTIFICATES if os.path.isfile(path)), None)
    if bundle:
        tree.host(os.path.realpath(bundle), at=_CERTIFICATES_AT)
        for link in _CERTIFICATE_LINKS:
            tree.link(link, _CERTIFICATES_AT)
    for path in _ZONES:
        tree.host(path)
    for folder in _TERMINFO:
        for terminal in _TERMINALS.split():
            tree.host(f"{folder}/{terminal[0]}/{terminal}")
    for locale in ("C.utf8", "C.UTF-8"):
        folder = f"/usr/lib/locale/{locale}"
        if os.path.isdir(folder):
            tree.copy(folder, folder, lambda path, is_folder: True)
