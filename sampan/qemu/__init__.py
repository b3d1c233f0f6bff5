"""QEMU machines: command lines, instances, QMP, acceleration."""
