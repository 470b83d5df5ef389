# SPDX-License-Identifier: Apache-2.0
# A real tree: in, compared, packed and unpacked, compiled from, renamed, removed. TREE is it on the host, PART a folder
# of it (relative) for the steps that need not be large, FULL=1 asks for all of it. From 4.1 on over four connections (nconnect).
CONNECTIONS=1
if [ "$VERS" != 4.0 ]; then CONNECTIONS=4 MOUNT_EXTRA=nconnect=4; fi
mount_share
rm -rf "$M/tree"*
if [ "$FULL" = 1 ]; then source=$TREE; else source=$TREE/$PART; fi

count() { find "$1" | wc -l; }
same_count() { [ "$(count "$1")" = "$(count "$2")" ]; }

connected() { awk -v port="$(printf ':%04X' "$PORT")" '$3 ~ port "$" && $4 == "01"' /proc/net/tcp | wc -l; }
check copy_in cp -a "$source" "$M/tree"
check connections sh -c '[ "$1" = "$2" ]' - "$(connected)" "$CONNECTIONS"
remount_share
check compare diff -r --no-dereference "$source" "$M/tree"
[ "$FULL" = 1 ] && part=$M/tree/$PART || part=$M/tree
check tar tar -cf "$M/tree.tar" -C "$part" .
check untar sh -c 'mkdir "$1" && tar -xf "$2" -C "$1"' - "$M/tree2" "$M/tree.tar"
drop_caches
check compare_untarred diff -r --no-dereference "$TREE/$PART" "$M/tree2"
check archive_lists_all sh -c '[ "$(tar -tf "$1" | wc -l)" = "$(find "$2" | wc -l)" ]' - "$M/tree.tar" "$TREE/$PART"
check rename_tree mv "$M/tree2" "$part/inside"
check renamed_is_whole same_count "$TREE/$PART" "$part/inside"
check hard_link_copy cp -al "$part/inside" "$M/links"
check hard_links_compare diff -r --no-dereference "$TREE/$PART" "$M/links"
if [ "$FULL" = 1 ]; then
  mkdir "$M/build"
  cat > "$M/build/main.cpp" <<'CODE'
#include <algorithm>
#include <iostream>
#include <map>
#include <string>
#include "own.h"
int main() {
    std::map<std::string, int> words;
    for (const char* word : {"a", "b", "a"}) ++words[word];
    std::cout << words["a"] + own() << "\n";
}
CODE
  echo 'int own();' > "$M/build/own.h"
  printf '#include "own.h"\nint own() { return 40; }\n' > "$M/build/own.cpp"
  check compile sh -c 'cd "$1" && $CXX -c main.cpp && $CXX -c own.cpp && ar rc libown.a own.o && $CXX -o main main.o -L. -lown' - "$M/build"
  check run_what_was_compiled sh -c '[ "$("$1")" = 42 ]' - "$M/build/main"
fi
check remove_tree rm -rf "$M/tree"
check remove_links rm -rf "$M/links" "$M/tree.tar" "$M/build"
check nothing_left sh -c '[ -z "$(ls -A "$1" | grep -v -e "^lost+found$")" ]' - "$M"
