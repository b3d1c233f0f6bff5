"""From sources to images: toolchain, busybox, kernel, manifest, file systems, checks."""
