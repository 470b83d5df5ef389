// SPDX-License-Identifier: Apache-2.0
// Errors as values, their names and their macros.
#include "server/base/result.h"

#include <fstream>
#include <set>

#include <gtest/gtest.h>

namespace strata {

namespace {
Result<int> half(int n) {
    if (n % 2 != 0) return fail(Errc::invalid_argument, "odd");
    return n / 2;
}
Result<int> quarter(int n) {
    TRY(once, half(n));
    TRY(twice, half(once));
    return twice;
}
Result<> check(int n) {
    CHECK_OK(quarter(n));
    return {};
}
}  // namespace

TEST(Result, every_error_word_has_a_name_of_its_own) {
    std::set<std::string_view> names;
    for (int i = 0; i < errc_count; ++i) names.insert(to_string(static_cast<Errc>(i)));
    EXPECT_EQ(names.size(), static_cast<std::size_t>(errc_count));
}

TEST(Result, names_are_the_enumerators) {
    EXPECT_EQ(to_string(Errc::not_found), "not_found");
    EXPECT_EQ(to_string(Errc::too_big), "too_big");
    EXPECT_EQ(to_string(Errc::too_small), "too_small");
    EXPECT_EQ(to_string(Errc::delay), "delay");
    EXPECT_EQ(to_string(Errc::io), "io");
    EXPECT_EQ(to_string(Errc::fenced), "fenced");
    EXPECT_EQ(to_string(Errc::internal), "internal");
    EXPECT_EQ(to_string(Error(Errc::io, "disk 3")), "io: disk 3");
    EXPECT_EQ(to_string(Error(Errc::io)), "io");
}

TEST(Result, macros_pass_values_and_errors_on) {
    EXPECT_EQ(*quarter(8), 2);
    EXPECT_EQ(quarter(6).error().detail, "odd");
    EXPECT_TRUE(check(4));
    EXPECT_EQ(check(2).error(), Errc::invalid_argument);
}

}  // namespace strata
