// SPDX-License-Identifier: Apache-2.0
// UTF-8: the limits of RFC 3629.
#include "server/vfs/utf8.h"

#include <gtest/gtest.h>

namespace strata::vfs {
namespace {

TEST(Utf8, characters_of_each_length_up_to_the_last_are_taken) {
    for (const auto* text : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                             "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xa4z"}) {
        EXPECT_TRUE(is_utf8(text)) << text;
    }
}

TEST(Utf8, longer_forms_surrogates_and_what_is_past_the_end_are_refused) {
    for (const auto* text : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
                             "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff"}) {
        EXPECT_FALSE(is_utf8(text)) << text;
    }
}

TEST(Utf8, a_character_that_is_cut_off_is_refused) {
    for (const auto* text : {"\xc2", "\xe2\x82", "\xf0\x9f\x92", "\xe2\x82z", "\xc3\xc3"}) EXPECT_FALSE(is_utf8(text)) << text;
}

TEST(Utf8, a_line_has_no_control_characters) {
    EXPECT_TRUE(is_line_of_text("a b\xc3\xa4"));
    for (const auto* text : {"a\nb", "\t", "\x1b[0m", "\x7f", "\xff"}) EXPECT_FALSE(is_line_of_text(text)) << text;
    EXPECT_FALSE(is_line_of_text(std::string_view("\0", 1)));
}

}  // namespace
}  // namespace strata::vfs
