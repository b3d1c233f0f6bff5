"""Device tree blobs: which classes of devices a board will have, before anything was booted.

The blob says what hardware there is; whether a driver is there for it, and which numbers it
gets, it does not. Rather one class too many (a slot, a codec) than one too few: the answer is for
"in the device tree but no node: driver missing, or module not loaded".

Format: the Devicetree Specification, chapter 5 (flattened format); generic names: its 2.2.2.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import refuse_os_error

_MAGIC = 0xD00DFEED
_BEGIN, _END, _PROPERTY, _NOP, _DONE = 1, 2, 3, 4, 9

#: class in sysfs -> what a node's generic name or one of its compatible strings looks like.
_LOOKS: dict[str, tuple[str, str]] = {
    "rtc": (r"rtc", r"[-,](pl031|ds1307|pcf85\w+|rv\d+\w*)|rtc"),
    "watchdog": (r"watchdog|wdt", r"wdt|watchdog|bcm2835-pm|a10-timer"),
    "block": (r"e?mmc|sd(hci|host|mmc)?|sata|ahci", r"mmc|sdhci|pl18\w|usdhc|sdhost|ahci|virtio,mmio"),
    "mtd": (r"flash|nand|nor|eeprom-flash", r"cfi-flash|jedec|spi-nor|nand"),
    "usb": (r"usb|ehci|ohci|otg", r"[eox]hci|musb|dwc[23]|usb|udc"),
    "tty": (r"serial|uart", r"uart|pl011|serial"),
    "i2c-dev": (r"i2c", r"i2c"),
    "spidev": (r"e?spi|ssp", r"spi|pl022"),
    "sound": (r"sound|codec|i2s|audio|hdmi", r"codec|i2s|pl041|audio|simple-card"),
    "lirc": (r"ir|cir", r"-ir(-|$)|gpio-ir"),
    "input": (r"kmi|keypad|touchscreen|lradc|gpio[-_]keys|buttons?", r"pl050|gpio-keys|keypad|lradc|touch|axp\d+"),
    "drm": (r"gpu|display|hdmi|lcd\w*|fb|tcon|hvs|gfx", r"drm|vc4|display|hdmi|tcon|pl11\w|ipu|gfx|mali"),
    "video4linux": (r"video(-codec)?|csi|camera|vpu", r"video|csi|vpu|camera|coda"),
    "iio": (r"adc|accelerometer|gyro\w*|magnetometer|light-sensor", r"adc|mma\d+|mpu\d+"),
    "tpm": (r"tpm", r"tpm|tcg,"),
    "misc": (r"rng|crypto|caam", r"rng|crypto|sec-v4"),
}


@dataclass(frozen=True)
class TreeNode:
    """One enabled node of the tree."""

    path: str
    properties: dict[str, bytes] = field(hash=False)

    @property
    def name(self) -> str:
        """The generic name: without unit address."""
        return self.path.rpartition("/")[2].partition("@")[0]

    @property
    def compatible(self) -> list[str]:
        return _strings(self.properties.get("compatible", b""))


def read(path: Path) -> list[TreeNode]:
    """The enabled nodes of a .dtb file, root first; a SampanError for what is none."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        refuse_os_error(error, "read", path)


def parse(data: bytes, source: str) -> list[TreeNode]:
    """The enabled nodes of a blob. A disabled one takes those below it along."""
    try:
        magic, total, structure, strings = struct.unpack_from(">4I", data)
        if magic != _MAGIC or total > len(data):
            raise ValueError("no device tree blob" if magic != _MAGIC else "the blob is cut short")
        return _walk(data[:total], structure, strings)
    except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
        what = str(error) if isinstance(error, ValueError) else "the blob is cut short"
        raise SampanError(f"{source}: {what}", code=EXIT_USAGE) from error


def machine(nodes: list[TreeNode]) -> str:
    """First compatible string of the root, as facts have it."""
    return next(iter(nodes[0].compatible), "") if nodes else ""


def classes(nodes: list[TreeNode]) -> dict[str, list[str]]:
    """Class in sysfs -> paths of the nodes that will be devices of it, if their drivers are there."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        for name in _classes(node):
            found.setdefault(name, []).append(node.path)
    return dict(sorted(found.items()))


def _classes(node: TreeNode) -> list[str]:
    found = ["gpio"] if "gpio-controller" in node.properties else []
    if not node.compatible:
        return found
    for name, (generic, compatible) in _LOOKS.items():
        bare = node.name.rstrip("0123456789")
        if re.fullmatch(generic, bare) or any(re.search(compatible, each) for each in node.compatible):
            found.append(name)
    return [*found, *(["graphics"] if "drm" in found else [])]  # its frame buffer emulation


def _walk(data: bytes, at: int, strings: int) -> list[TreeNode]:
    found: list[TreeNode] = []
    open_nodes: list[TreeNode] = []
    while True:
        (token,) = struct.unpack_from(">I", data, at)
        at += 4
        if token == _BEGIN:
            end = data.index(b"\0", at)
            above = open_nodes[-1].path if open_nodes else ""
            node = TreeNode(f"{above.rstrip('/')}/{data[at:end].decode()}", {})
            open_nodes.append(node)
            found.append(node)
            at = end + 4 - (end % 4)
        elif token == _PROPERTY:
            length, name = struct.unpack_from(">2I", data, at)
            if at + 8 + length > len(data):
                raise ValueError("the blob is cut short")
            key = data[strings + name : data.index(b"\0", strings + name)].decode()
            open_nodes[-1].properties[key] = data[at + 8 : at + 8 + length]
            at += 8 + (length + 3) // 4 * 4
        elif token == _END:
            open_nodes.pop()
        elif token == _DONE:
            return _enabled(found)
        elif token != _NOP:
            raise ValueError(f"the blob has no token {token}")


def _enabled(nodes: list[TreeNode]) -> list[TreeNode]:
    off: set[str] = set()
    for node in nodes:
        status = _strings(node.properties.get("status", b"okay"))
        above = node.path.rpartition("/")[0]
        if above in off or status[:1] not in (["okay"], ["ok"]):
            off.add(node.path)
    return [node for node in nodes if node.path not in off]


def _strings(data: bytes) -> list[str]:
    return [each.decode("ascii", "replace") for each in data.split(b"\0") if each]
