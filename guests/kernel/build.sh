#!/bin/sh
# Builds guests/images/guest64.elf and its description, guest64.json.
# `build.sh shift` builds guest64-shifted.elf, whose workloads have their
# innermost loops across a page boundary (link.ld).
# The same gcc and binutils give the same bytes: nothing in the image depends
# on time, place or build id.
set -eu
export LC_ALL=C	# the order of the object files
cd "$(dirname "$0")"

name=guest64 shift=0
if [ "${1:-}" = shift ]; then
	name=guest64-shifted shift=1
fi
images=../images
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

flags="-std=gnu11 -O2 -Wall -Wextra -Wno-missing-field-initializers -Werror -ffreestanding -nostdlib -march=x86-64 -mgeneral-regs-only -mno-red-zone
	-fno-pic -fno-pie -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables
	-fno-strict-aliasing -fno-toplevel-reorder -fno-reorder-functions -fno-ident
	-fno-tree-loop-distribute-patterns -fno-delete-null-pointer-checks"

compile() {	# source, object, more flags
	source=$1 object=$2
	shift 2
	# shellcheck disable=SC2086
	${CC:-gcc} $flags "$@" -c "$source" -o "$objects/$object.o"
}

for source in *.S *.c; do
	compile "$source" "${source%.*}"
done
for source in checks/*.c; do
	compile "$source" "check-$(basename "$source" .c)"
done
# No alignment inside, so that link.ld can lay the code to the byte.
unaligned="-falign-functions=1 -falign-loops=1 -falign-jumps=1 -falign-labels=1"
for source in workloads/*.c; do
	workload=$(basename "$source" .c)
	case $workload in
	# A recursion unrolled into itself would count fewer calls than fib() makes.
	fib) compile "$source" "work-$workload" $unaligned -fno-inline -fno-optimize-sibling-calls -fno-partial-inlining ;;
	*) compile "$source" "work-$workload" $unaligned ;;
	esac
done

mkdir -p "$images"
${LD:-ld} -T link.ld --defsym=SHIFT=$shift --build-id=none -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments \
	-s -o "$objects/$name.elf" "$objects"/*.o
mv "$objects/$name.elf" "$images/$name.elf"
chmod 644 "$images/$name.elf"

printf '{"gcc": "%s", "binutils": "%s", "sha256": "%s"}\n' \
	"$(${CC:-gcc} -dumpfullversion)" "$(${LD:-ld} --version | sed -n '1s/.* //p')" \
	"$(sha256sum "$images/$name.elf" | cut -d' ' -f1)" >"$images/$name.json"
