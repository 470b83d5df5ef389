# SPDX-License-Identifier: Apache-2.0
# Disks for the server's stores that can be made to fail while it runs.
#
# As root with loop devices each store is an ext4 file system of its own in a sparse image, and a loss is ext4's shutdown
# request (what an I/O error that stops the file system does) followed by a lazy unmount: files that are open give EIO, the
# folder is empty. Elsewhere (user namespace, container without loop devices) each store is a tmpfs; its files are truncated
# and it is unmounted lazily: open files read nothing, what is written to them is lost, the folder is empty. Both leave the
# mount point behind, so an unmounted store looks like what it is after a disk vanished: an empty folder without identity.
import fcntl
import os
import random
import shutil
import struct
import subprocess

EXT4_IOC_SHUTDOWN = 0x8004587D      # _IOR('X', 125, __u32), for ext4 and XFS
SHUTDOWN_NO_LOG_FLUSH = 2


def command(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False)


def mount_type(path):
    """(file system type, source) of the topmost mount exactly at `path`, or None."""
    found = None
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if words[4] == path:
                after = words.index("-")
                found = (words[after + 1], words[after + 2])
    return found


class Stores:
    """`count` stores of `size` bytes each below `folder`."""

    def __init__(self, folder, count, size, kind=None):
        self.folder = folder
        self.size = size
        self.paths = [os.path.join(folder, f"store{index}") for index in range(count)]
        self.images = 0
        for path in self.paths:
            os.makedirs(path)
        self.kind = kind or self._probe()
        for index in range(count):
            self.insert(index)

    def _probe(self):
        """"ext4" where an image can be mounted, else "tmpfs"."""
        if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
            return "tmpfs"
        if not self._mount_image(self.paths[0]):
            return "tmpfs"
        command("umount", self.paths[0])
        return "ext4"

    def _mount_image(self, path):
        self.images += 1
        image = os.path.join(self.folder, f"image{self.images}")
        with open(image, "wb") as out:
            out.truncate(self.size)
        if command("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", image).returncode != 0:
            return False
        mounted = command("mount", "-o", "loop,noatime", image, path).returncode == 0
        os.remove(image)        # the loop device keeps it until the unmount
        if mounted:
            os.rmdir(os.path.join(path, "lost+found"))
        return mounted

    def insert(self, index):
        """Puts a new, empty disk in the place of store `index`."""
        path = self.paths[index]
        if self.kind == "ext4":
            done = self._mount_image(path)
        else:
            done = command("mount", "-t", "tmpfs", "-o", f"size={self.size},mode=755", "store", path).returncode == 0
        if not done:
            raise RuntimeError(f"cannot mount a {self.kind} at {path}")

    def lose(self, index):
        """The disk of store `index` vanishes, under whatever uses it."""
        path = self.paths[index]
        kind, source = mount_type(path) or (None, None)
        if kind != self.kind:
            raise RuntimeError(f"{path} is not one of our mounts")
        if kind == "ext4" and source.startswith("/dev/loop"):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", SHUTDOWN_NO_LOG_FLUSH))
            finally:
                os.close(fd)
        else:
            for folder, _, files in os.walk(path):
                for name in files:
                    os.truncate(os.path.join(folder, name), 0)
        command("umount", "-l", path)

    def flip_bits(self, index, count, seed):
        """Flips one bit in every file of the store and `count` more, the more the larger a file's data. Returns how many."""
        chooser = random.Random(seed)
        files = []
        for folder, _, names in os.walk(self.paths[index]):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and os.path.getsize(path) > 0:
                    files.append(path)
        files.sort()
        if not files:
            return 0
        weights = [os.stat(path).st_blocks + 1 for path in files]
        for path in files + chooser.choices(files, weights, k=count):
            flip_bit(path, chooser)
        return len(files) + count

    def remove(self):
        for path in self.paths:
            while mount_type(path):
                if command("umount", "-l", path).returncode != 0:
                    break
        shutil.rmtree(self.folder, ignore_errors=True)


def flip_bit(path, chooser):
    """One bit of the file's data; holes are left alone, as there is nothing to rot in them."""
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            at = os.lseek(file.fileno(), chooser.randrange(size), os.SEEK_DATA)
        except OSError:
            at = os.lseek(file.fileno(), 0, os.SEEK_DATA) if os.fstat(file.fileno()).st_blocks else 0
        byte = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([byte[0] ^ (1 << chooser.randrange(8))]), at)
        os.fsync(file.fileno())
