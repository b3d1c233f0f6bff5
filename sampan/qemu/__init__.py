"""QEMU: its command line from an image, its life as a process, acceleration, booting."""
