// SPDX-License-Identifier: Apache-2.0
// No new volume in the place of a disk that is not mounted.
#include "server/mount_check.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

const std::set<std::string> wanted{"/", "/srv/disk", "none"};

TEST(MountCheck, a_folder_whose_disk_is_not_mounted_is_refused_by_name) {
    for (const char* folder : {"/srv/disk", "/srv/disk/strata"}) {
        const auto checked = refuse_unmounted(folder, wanted, {"/"});
        ASSERT_FALSE(checked) << folder;
        EXPECT_EQ(checked.error(), Errc::config);
        EXPECT_NE(checked.error().detail.find("/srv/disk,"), std::string::npos);
        EXPECT_TRUE(refuse_unmounted(folder, wanted, {"/", "/srv/disk"})) << folder;
    }
}

TEST(MountCheck, folders_that_are_nobodys_mount_point_are_fine) {
    for (const char* folder : {"/srv/diskette", "/data", "/srv", "none"}) EXPECT_TRUE(refuse_unmounted(folder, wanted, {"/"})) << folder;
    EXPECT_TRUE(refuse_unmounted("/srv/disk", {}, {}));
}

}  // namespace
}  // namespace strata
