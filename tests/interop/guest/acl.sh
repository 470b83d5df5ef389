# SPDX-License-Identifier: Apache-2.0
# NFSv4 ACLs with nfs4-acl-tools: what is set comes back and is enforced for uid 1000 and 1001.
# EXACT=1: the server keeps the entries as they are; knfsd turns them into a POSIX ACL, which has no deny.
mount_share
rm -rf "$M/acl"; mkdir -m 755 "$M/acl"; cd "$M/acl"
as() { as_uid=$1; shift; setpriv --reuid "$as_uid" --regid "$as_uid" --clear-groups "$@"; }
has_ace() { nfs4_getfacl "$1" | grep -q "$2"; }
echo content > f; chmod 600 f
check a_plain_file_has_an_acl has_ace f '^A:.*:OWNER@:'
check without_an_entry_no_access refused as 1000 cat f
check add_allow nfs4_setfacl -a A::1000:rtcy f
drop_caches
check the_entry_comes_back has_ace f '^A::1000\(@[^:]*\)\?:r'
check the_entry_lets_in as 1000 cat f
check others_stay_out refused as 1001 cat f
check no_write_was_given refused as 1000 sh -c 'echo x >> f'
check replace nfs4_setfacl -s 'A::OWNER@:rwatTnNcCoy,A::1001:rwatncy,A::GROUP@:tcy,A::EVERYONE@:tcy' f
check the_new_entry_lets_in as 1001 sh -c 'cat f && echo more >> f'
check the_old_entry_is_gone refused as 1000 cat f
mkdir -m 700 d
check directory_entry nfs4_setfacl -a A:fd:1000:rwaDxtTnNcCy d
check inherited_directory as 1000 mkdir d/sub
echo inside > d/file
check inherited_by_files as 1000 cat d/file
check not_by_strangers refused as 1001 ls d
if [ "$EXACT" = 1 ]; then
  check remove_entry nfs4_setfacl -x "$(nfs4_getfacl f | grep '^A::1001[@:]')" f
else
  check remove_entry nfs4_setfacl -s A::OWNER@:rwatTnNcCoy,A::GROUP@:tcy,A::EVERYONE@:tcy f
fi
check removed_is_out refused as 1001 cat f
check chmod_still_works chmod 644 f
check chmod_lets_all_read as 1001 cat f
if [ "$EXACT" = 1 ]; then
  check deny nfs4_setfacl -a D::1000:r f
  check deny_keeps_out refused as 1000 cat f
  check deny_only_him as 1001 cat f
  check deny_comes_back has_ace f '^D::1000\(@[^:]*\)\?:r'
fi
cd /
check remove rm -rf "$M/acl"
