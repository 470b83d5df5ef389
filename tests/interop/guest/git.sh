# SPDX-License-Identifier: Apache-2.0
# A git repository on the mount: commits, a branch, a merge, a clone, and git's own check of all objects.
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=tester GIT_AUTHOR_EMAIL=t@example.org
export GIT_COMMITTER_NAME=tester GIT_COMMITTER_EMAIL=t@example.org
mount_share
rm -rf "$M/git" "$M/clone"; mkdir "$M/git"; cd "$M/git"
same_tree() { diff -r --no-dereference --exclude=.git "$1" "$2"; }
git config --global gc.auto 0; git config --global safe.directory '*'
check init git init -q -b main .
cp -a "$TREE/$PART/." .
check add git add .
check commit git commit -q -m "the tree"
check branch git checkout -q -b side
for i in 1 2 3; do echo "side $i" > side.txt; git add side.txt; git commit -q -m "side $i" || fail commit_side; done
check switch_back git checkout -q main
echo main > main.txt; git add main.txt
check commit_main git commit -q -m "main"
check merge git merge -q -m merge side
drop_caches
check fsck git fsck --strict --no-progress
check clone git clone -q --no-hardlinks "$M/git" "$M/clone"
check clone_is_equal same_tree "$M/git" "$M/clone"
check repack git repack -a -d -q
check clean_status sh -c '[ -z "$(git status --porcelain)" ]'
cd /
check remove rm -rf "$M/git" "$M/clone"
