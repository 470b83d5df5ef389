// SPDX-License-Identifier: Apache-2.0
// Statuses: every error of ours has one; numbers and names are the specifications'.
#include "nfs/wire/status.h"

#include <gtest/gtest.h>

namespace strata::nfs {
namespace {

TEST(NfsStatus, every_errc_is_mapped_to_an_error) {
    for (int code = 0; code < errc_count; ++code) {
        const auto status = to_status(static_cast<Errc>(code));
        EXPECT_NE(status, NfsStatus::ok) << to_string(static_cast<Errc>(code));
        EXPECT_NE(to_string(status), "NFS4ERR_UNKNOWN") << to_string(static_cast<Errc>(code));
    }
}

TEST(NfsStatus, the_usual_ones_are_what_posix_callers_expect) {
    EXPECT_EQ(to_status(Errc::not_found), NfsStatus::noent);
    EXPECT_EQ(to_status(Errc::permission), NfsStatus::perm);
    EXPECT_EQ(to_status(Errc::access), NfsStatus::access);
    EXPECT_EQ(to_status(Errc::no_space), NfsStatus::nospc);
    EXPECT_EQ(to_status(Errc::quota), NfsStatus::dquot);
    EXPECT_EQ(to_status(Errc::stale), NfsStatus::stale);
    EXPECT_EQ(to_status(Errc::cross_domain), NfsStatus::xdev);
    EXPECT_EQ(to_status(Errc::corrupt), NfsStatus::io);
}

TEST(NfsStatus, names_are_the_specifications) {
    EXPECT_EQ(to_string(NfsStatus::ok), "NFS4_OK");
    EXPECT_EQ(to_string(NfsStatus::bad_stateid), "NFS4ERR_BAD_STATEID");
    EXPECT_EQ(static_cast<std::uint32_t>(NfsStatus::xattr2big), 10096u);
}

}  // namespace
}  // namespace strata::nfs
