"""The guard: a script for the target that refuses a start when a number no longer means its name.

For those who run the list with something else than sampan: as lxc.hook.pre-start, ExecStartPre=
or an OCI createRuntime hook. POSIX shell without a fork: it is run at each start.
"""

from __future__ import annotations

from sampan.devices.resolve import Resolved

_HEAD = """#!/bin/sh
# Refuses to start a container when a device number of its list is another device's now.
# Written for {name}; nothing here is to be edited: generate it again.
sys=${{SAMPAN_SYS:-/sys}} proc=${{SAMPAN_PROC:-/proc}} wrong=0

refuse() {{
	echo "devices: $1 is not $2 any more but ${{3:-nothing}}: the list was made for another kernel" >&2
	wrong=1
}}

# A device that exists: NUMBER NAME
node() {{
	name=
	if [ -r "$sys/dev/$1/uevent" ]; then
		while IFS== read -r key value; do
			[ "$key" = DEVNAME ] && name=$value
		done < "$sys/dev/$1/uevent"
	fi
	[ "$name" = "$2" ] || refuse "$1" "$2" "$name"
}}

# A driver that holds a whole major: SECTION MAJOR NAME
driver() {{
	section= found=
	while read -r number name; do
		case $number in
		Character | Block) section=$number ;;
		"$2") [ "$section" = "$1" ] && found="$found $name" ;;
		esac
	done < "$proc/devices"
	case "$found " in
	*" $3 "*) ;;
	*) refuse "$1 major $2" "$3" "$found" ;;
	esac
}}

"""


def expected(found: Resolved) -> list[tuple[str, str]]:
    """(number, name) that the running kernel must agree on: `c 252:0` and its node, or `c 136:*` and its driver."""
    said = {}
    for grant in found.grants:
        rule = grant.rule
        node = found.facts.by_number.get((rule.kind, rule.major or 0, rule.minor if rule.minor is not None else -1))
        if node:
            said[node.number] = node.name
        else:
            said[f"{rule.kind} {rule.major}:*"] = found.facts.drivers(rule.kind, rule.major or 0)[0]
    return list(said.items())


def script(found: Resolved) -> str:
    """The guard of a resolved list."""
    lines = []
    for number, name in expected(found):
        kind, _, numbers = number.partition(" ")
        words = ("block", "Block") if kind == "b" else ("char", "Character")
        if numbers.endswith(":*"):
            lines.append(f"driver {words[1]} {numbers.removesuffix(':*')} '{name}'")
        else:
            lines.append(f"node {words[0]}/{numbers} '{name}'")
    return _HEAD.format(name=found.facts.name) + "\n".join(lines) + "\nexit $wrong\n"
