#!/bin/sh
# Builds images of the guest, and a description (.json) beside each:
#
#	build.sh		guest64.elf
#	build.sh shift		guest64-shifted.elf: the workloads have their innermost
#				loops across a page boundary (link.ld)
#	build.sh 32		guest32.elf: the workloads only, as 32-bit code
#	build.sh check32	guest32-check.elf: checks of protected mode
#	build.sh check16	guest16.elf: checks of real mode
#	build.sh native FILE	the workloads as a program for this machine
#
# The same gcc and binutils give the same bytes: nothing in an image depends
# on time, place or build id.
set -eu
export LC_ALL=C	# the order of the object files
variant=${1:-64} program=${2:-}
case $program in
'' | /*) ;;
*) program=$PWD/$program ;;
esac
cd "$(dirname "$0")"

objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

shared="identity.c memory.c options.c power.c print.c serial.c units.c"
name=guest64 optimize=-O2 script=link.ld shift=0 entry=entry64 emulation=elf_x86_64 machine="-march=x86-64 -mno-red-zone" sse2=-msse2
sources=$(echo *.S *.c checks/*.c) workloads=$(echo workloads/*.c)
case $variant in
64) ;;
shift) name=guest64-shifted shift=1 ;;
32)
	name=guest32 entry=entry32 emulation=elf_i386
	# uint64_t is another type there, but print's %lu is it all the same.
	machine="-m32 -march=i686 -Wno-format" sse2="-msse2 -mfpmath=sse"
	sources="i386/boot.S i386/main.c i386/division.c bench.c clock.c $shared" ;;
check32)
	name=guest32-check entry=entry32 emulation=elf_i386 workloads= script=check.ld optimize=-Os
	machine="-m32 -march=i686 -Wno-format"
	sources="$(echo protected/*.S protected/*.c) i386/division.c checking.c probe.c $shared" ;;
check16)
	name=guest16 entry=entry32 emulation=elf_i386 workloads= script=check.ld optimize=-Os
	machine="-m16 -march=i686 -Wno-format"
	sources="$(echo real/*.c) real/entry.S i386/division.c checking.c probe.c $shared" ;;
native)
	machine="$machine -DHOST_CODE"
	sources="host/native.c bench.c identity.c memory.c options.c print.c units.c" ;;
*)
	echo "build.sh: $variant: 64, shift, 32, check32, check16 or native" >&2
	exit 1 ;;
esac

flags="-std=gnu11 $optimize -Wall -Wextra -Wno-missing-field-initializers -Werror -ffreestanding $machine
	-fno-pic -fno-pie -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables
	-fno-strict-aliasing -fno-toplevel-reorder -fno-reorder-functions -fno-ident
	-fno-tree-loop-distribute-patterns -fno-delete-null-pointer-checks"

# All code but that of the workloads that are about floating point or vectors.
general=-mgeneral-regs-only
# Vectors are where the source has them, and a product and a sum are fused where it says so.
float="-fno-tree-vectorize -fno-math-errno -ffp-contract=off"

compile() {	# source, object, more flags
	source=$1 object=$2
	shift 2
	# shellcheck disable=SC2086
	${CC:-gcc} $flags "$@" -c "$source" -o "$objects/$object.o"
}

for source in $sources; do
	object=$(basename "${source%.*}")
	case $source in
	checks/* | protected/* | real/*.c) object=check-$object ;;
	esac
	compile "$source" "$object" $general
done
# No alignment inside, so that link.ld can lay the code to the byte.
unaligned="-falign-functions=1 -falign-loops=1 -falign-jumps=1 -falign-labels=1"
for source in $workloads; do
	workload=$(basename "$source" .c)
	case $workload in
	# A recursion unrolled into itself would count fewer calls than fib() makes.
	fib) units="$general -fno-inline -fno-optimize-sibling-calls -fno-partial-inlining" ;;
	x87) units="$float -mno-sse" ;;
	nbody | mandelbrot | daxpy | particles | convolve | motion | blend) units="$float $sse2" ;;
	lanes) units="$float $sse2 -mavx2" ;;
	dgemm) units="$float $sse2 -mavx2 -mfma" ;;
	*) units=$general ;;
	esac
	compile "$source" "work-$workload" $unaligned $units
done

if [ "$variant" = native ]; then
	${CC:-gcc} -no-pie -z noexecstack -o "$program" "$objects"/*.o
	exit
fi

# The real-mode kernel is a flat image inside of its loader's stub.
if [ "$variant" = check16 ]; then
	${LD:-ld} -m $emulation -T real/real.ld --build-id=none --no-warn-rwx-segments --oformat binary -o "$objects/real.bin" "$objects"/*.o
	rm "$objects"/*.o
	compile real/boot.S boot -m32 -Wa,-I"$objects"
fi

images=../images
mkdir -p "$images"
${LD:-ld} -m $emulation -T $script --entry=$entry --defsym=SHIFT=$shift --build-id=none -z max-page-size=4096 \
	-z noexecstack --no-warn-rwx-segments -s -o "$objects/$name.elf" "$objects"/*.o
mv "$objects/$name.elf" "$images/$name.elf"
chmod 644 "$images/$name.elf"

printf '{"gcc": "%s", "binutils": "%s", "sha256": "%s"}\n' \
	"$(${CC:-gcc} -dumpfullversion)" "$(${LD:-ld} --version | sed -n '1s/.* //p')" \
	"$(sha256sum "$images/$name.elf" | cut -d' ' -f1)" >"$images/$name.json"
