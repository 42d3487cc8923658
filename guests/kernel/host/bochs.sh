#!/bin/bash
# Runs an image under Bochs and prints what it prints on COM1:
#
#	bochs.sh IMAGE [WORDS [CPU]]		CPU: ryzen (AMD) unless given; corei7_haswell_4770 (Intel)
#
# Debian packages bochs, bochs-term, bochsbios, vgabios. Bochs checks limits and types of segments and much else that QEMU
# does not, so it is the second opinion on the checks.
set -eu
here=$(cd "$(dirname "$0")" && pwd) image=$(realpath "$1") words=${2:-} cpu=${3:-ryzen}
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"

# The image as it lies in memory from 1 MB, in pieces of 128 KB: Bochs loads no larger ones. Prints the entry point.
entry=$(python3 - "$image" <<'PYTHON'
import struct, sys
data = open(sys.argv[1], "rb").read()
at = data.index(struct.pack("<I", 0x1BADB002))
header, load, load_end, _, entry = struct.unpack_from("<5I", data, at + 12)
image = data[at - (header - load) :][: load_end - load]
for piece in range(4):
    open(f"piece{piece}", "wb").write(image[piece << 17 : (piece + 1) << 17] or b"\0")
print(entry)
PYTHON
)
gcc -m32 -c "-DENTRY=$entry" "-DWORDS=\"$words\"" "$here/bochs.S" -o boot.o
ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o disk boot.o
truncate -s 10M disk

cat >bochsrc <<RC
config_interface: textconfig
display_library: term
megs: 128
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=$cpu, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
ata0-master: type=disk, path=disk, cylinders=20, heads=16, spt=63
boot: disk
plugin_ctrl: speaker=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
com1: enabled=1, mode=file, dev=console
log: log
panic: action=fatal
error: action=report
optramimage1: file=piece0, address=0x100000
optramimage2: file=piece1, address=0x120000
optramimage3: file=piece2, address=0x140000
optramimage4: file=piece3, address=0x160000
RC
touch console
# Its debugger wants to be told to continue, and its display a terminal.
mkfifo keys
TERM=xterm script -qec "bochs -q -f bochsrc" /dev/null <keys >terminal 2>&1 &
exec 3>keys
echo c >&3
for _ in $(seq 300); do
	sleep 0.2
	if grep -aq 'power off:' console || ! kill -0 %1 2>/dev/null; then break; fi
done
tr -d '\r' <console
grep -a 'CPU0.*PANIC' log || true
