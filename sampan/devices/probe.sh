#!/bin/sh
# Prints what the running kernel says about its devices, for `sampan devices record`.
# For any target with a POSIX shell and cat: run it there, or paste it into a serial console.
#
# No process is forked for a device (`cd -P` resolves links, `read` takes uevents apart): a slow
# board needs seconds for a hundred forks, and milliseconds for this. A line of the section
# "nodes" is separated by tabs:
#   c|b  major:minor  devname  subsystem  driver  sysfs-path  of-node  devtype  devmode

tab='	'

show() {
	[ -r "$2" ] || return 0
	echo "@@ $1"
	cat "$2"
}

# The driver and the device tree node of a device are the nearest ones above it.
parents() {
	driver= of_node=
	up=$1
	while [ -n "$up" ] && [ "$up" != /sys/devices ]; do
		[ -z "$driver" ] && cd -P "$up/driver" 2>/dev/null && driver=${PWD##*/}
		[ -z "$of_node" ] && cd -P "$up/of_node" 2>/dev/null && of_node=${PWD#/sys/firmware/devicetree/base}
		[ -n "$driver" ] && return
		up=${up%/*}
	done
}

node() {
	name= devtype= mode= subsystem=
	while IFS== read -r key value; do
		case $key in
		DEVNAME) name=$value ;;
		DEVTYPE) devtype=$value ;;
		DEVMODE) mode=$value ;;
		esac
	done < "$2/uevent"
	cd -P "$2" || return
	path=$PWD
	cd -P "$path/subsystem" 2>/dev/null && subsystem=${PWD##*/}
	parents "$path"
	echo "$1$tab${2##*/}$tab$name$tab$subsystem$tab$driver$tab${path#/sys}$tab$of_node$tab$devtype$tab$mode"
}

show version /proc/version
show devices /proc/devices
show misc /proc/misc
show ttydrivers /proc/tty/drivers
show consoles /proc/consoles
if [ -r /proc/device-tree/compatible ]; then
	echo "@@ dt-compatible"
	tr '\0' '\n' < /proc/device-tree/compatible
fi
echo "@@ nodes"
for device in /sys/dev/char/* /sys/dev/block/*; do
	[ -r "$device/uevent" ] || continue
	case $device in
	/sys/dev/char/*) node c "$device" ;;
	*) node b "$device" ;;
	esac
done
cd /
echo "@@ end"
