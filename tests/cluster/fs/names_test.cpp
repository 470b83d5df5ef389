// SPDX-License-Identifier: Apache-2.0
// Names and attributes of the cluster file system, as POSIX users know them, and over restarts and crashes.
#include <set>

#include <gtest/gtest.h>

#include "cluster/fs/directory.h"
#include "tests/cluster/fs/volume_fixture.h"

namespace strata::cluster {
namespace {

using sim::VolumeFixture;
using vfs::RemoveKind;

struct Names : testing::Test {
    VolumeFixture v{1};
    Context ctx = v.root();
    vfs::FileId root = v.fs->root();

    vfs::FileId make(vfs::FileId dir, std::string_view name, bool folder = false) {
        auto made = v.run(v.fs->create(ctx, dir, name, folder ? v.folder() : v.file()));
        EXPECT_TRUE(made) << name;
        return made ? made->entry.id : vfs::FileId{};
    }
    Errc error_of(auto task) {
        auto result = v.run(std::move(task));
        EXPECT_FALSE(result);
        return result ? Errc::internal : result.error().code;
    }
    std::vector<std::string> list(vfs::FileId dir, std::size_t page = 1000) {
        std::vector<std::string> names;
        std::uint64_t cookie = 0;
        for (;;) {
            std::size_t n = 0;
            auto got = v.run(v.fs->read_directory(ctx, dir, cookie, [&](const vfs::DirectoryEntry& e) {
                if (n == page) return false;
                ++n;
                names.emplace_back(e.name);
                cookie = e.cookie;
                EXPECT_GT(e.cookie, 2u);
                return true;
            }));
            EXPECT_TRUE(got);
            if (!got || got->end) return names;
        }
    }
    bool there(vfs::FileId dir, std::string_view name) { return v.run(v.fs->lookup(ctx, dir, name)).has_value(); }
    vfs::Attributes attributes(vfs::FileId file) {
        auto got = v.run(v.fs->get_attributes(ctx, file));
        EXPECT_TRUE(got);
        return got ? *got : vfs::Attributes{};
    }
    void settle() { EXPECT_TRUE(v.run(v.fs->settle(ctx))); }
};

TEST_F(Names, what_was_created_is_found_and_listed) {
    const auto dir = make(root, "d", true);
    const auto file = make(dir, "f");
    auto found = v.run(v.fs->lookup(ctx, dir, "f"));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->id, file);
    EXPECT_EQ(list(root), std::vector<std::string>{"d"});
    EXPECT_EQ(attributes(root).link_count, 3u);
    auto parent = v.run(v.fs->lookup_parent(ctx, dir));
    ASSERT_TRUE(parent);
    EXPECT_EQ(parent->id, root);
}

TEST_F(Names, bad_names_are_refused_and_nothing_is_made) {
    EXPECT_EQ(error_of(v.fs->create(ctx, root, "", v.file())), Errc::bad_name);
    EXPECT_EQ(error_of(v.fs->create(ctx, root, "..", v.file())), Errc::bad_name);
    EXPECT_EQ(error_of(v.fs->create(ctx, root, "a/b", v.file())), Errc::bad_name);
    EXPECT_EQ(error_of(v.fs->create(ctx, root, "\xff\xfe", v.file())), Errc::bad_name);
    EXPECT_EQ(error_of(v.fs->create(ctx, root, "\xc0\x80", v.file())), Errc::bad_name);
    EXPECT_EQ(error_of(v.fs->create(ctx, root, std::string(256, 'x'), v.file())), Errc::name_too_long);
    EXPECT_TRUE(v.run(v.fs->create(ctx, root, std::string(255, 'x'), v.file())));
    EXPECT_EQ(list(root).size(), 1u);
}

TEST_F(Names, guarded_unchecked_and_exclusive_creates_meet_an_existing_file) {
    const auto file = make(root, "f");
    EXPECT_EQ(error_of(v.fs->create(ctx, root, "f", v.file())), Errc::exists);
    auto request = v.file();
    request.mode = vfs::CreateMode::unchecked;
    auto again = v.run(v.fs->create(ctx, root, "f", request));
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->existed);
    EXPECT_EQ(again->entry.id, file);
    request.mode = vfs::CreateMode::exclusive;
    request.verifier = 42;
    EXPECT_EQ(error_of(v.fs->create(ctx, root, "f", request)), Errc::exists);
    auto mine = v.run(v.fs->create(ctx, root, "g", request));
    auto retried = v.run(v.fs->create(ctx, root, "g", request));
    ASSERT_TRUE(mine && retried);
    EXPECT_EQ(mine->entry.id, retried->entry.id);
}

TEST_F(Names, a_removed_file_is_stale_and_a_full_directory_stays) {
    const auto dir = make(root, "d", true);
    const auto file = make(dir, "f");
    EXPECT_EQ(error_of(v.fs->remove(ctx, root, "d", RemoveKind::any)), Errc::not_empty);
    EXPECT_EQ(error_of(v.fs->remove(ctx, root, "d", RemoveKind::not_directory)), Errc::is_directory);
    EXPECT_EQ(error_of(v.fs->remove(ctx, dir, "f", RemoveKind::directory)), Errc::not_directory);
    ASSERT_TRUE(v.run(v.fs->remove(ctx, dir, "f", RemoveKind::any)));
    EXPECT_EQ(error_of(v.fs->get_attributes(ctx, file)), Errc::stale);
    ASSERT_TRUE(v.run(v.fs->remove(ctx, root, "d", RemoveKind::directory)));
    EXPECT_EQ(error_of(v.fs->lookup(ctx, root, "d")), Errc::not_found);
    EXPECT_EQ(attributes(root).link_count, 2u);
    EXPECT_EQ(error_of(v.fs->create(ctx, dir, "x", v.file())), Errc::stale);
}

TEST_F(Names, a_pinned_file_outlives_its_last_name) {
    const auto file = make(root, "f");
    auto pin = v.run(v.fs->pin(ctx, file));
    ASSERT_TRUE(pin);
    ASSERT_TRUE(v.run(v.fs->remove(ctx, root, "f", RemoveKind::any)));
    EXPECT_EQ(attributes(file).link_count, 0u);
    pin->reset();
    EXPECT_EQ(error_of(v.fs->get_attributes(ctx, file)), Errc::stale);
}

TEST_F(Names, an_orphan_of_a_crash_stays_until_it_is_reaped) {
    const auto file = make(root, "f");
    {
        auto pin = v.run(v.fs->pin(ctx, file));
        ASSERT_TRUE(v.run(v.fs->remove(ctx, root, "f", RemoveKind::any)));
        settle();
        const auto image = v.meta->power_off();
        pin->reset();
        v.crash();
        (void)image;
    }
    ctx = v.root();
    EXPECT_EQ(attributes(file).link_count, 0u);
    ASSERT_TRUE(v.run(v.volume->reap_orphans(ctx)));
    EXPECT_EQ(error_of(v.fs->get_attributes(ctx, file)), Errc::stale);
}

TEST_F(Names, an_orphan_that_is_opened_again_after_a_crash_goes_with_its_last_close) {
    const auto file = make(root, "f");
    {
        auto pin = v.run(v.fs->pin(ctx, file));
        ASSERT_TRUE(v.run(v.fs->remove(ctx, root, "f", RemoveKind::any)));
        settle();
        const auto image = v.meta->power_off();
        pin->reset();
        v.crash();
        (void)image;
    }
    ctx = v.root();
    auto reclaimed = v.run(v.fs->pin(ctx, file));
    ASSERT_TRUE(reclaimed);
    ASSERT_TRUE(v.run(v.volume->reap_orphans(ctx)));
    EXPECT_EQ(attributes(file).link_count, 0u);
    reclaimed->reset();
    EXPECT_EQ(error_of(v.fs->get_attributes(ctx, file)), Errc::stale);
}

TEST_F(Names, hard_links_share_the_inode) {
    const auto dir = make(root, "d", true);
    const auto file = make(root, "f");
    ASSERT_TRUE(v.run(v.fs->link(ctx, file, dir, "g")));
    EXPECT_EQ(attributes(file).link_count, 2u);
    EXPECT_EQ(error_of(v.fs->link(ctx, dir, dir, "h")), Errc::is_directory);
    ASSERT_TRUE(v.run(v.fs->remove(ctx, root, "f", RemoveKind::any)));
    EXPECT_EQ(attributes(file).link_count, 1u);
    EXPECT_TRUE(there(dir, "g"));
}

TEST_F(Names, rename_replaces_and_keeps_link_counts_true) {
    const auto a = make(root, "a", true), b = make(root, "b", true);
    const auto file = make(a, "f"), old = make(b, "g");
    auto renamed = v.run(v.fs->rename(ctx, a, "f", b, "g"));
    ASSERT_TRUE(renamed);
    EXPECT_EQ(renamed->replaced, old);
    EXPECT_EQ(v.run(v.fs->lookup(ctx, b, "g"))->id, file);
    EXPECT_FALSE(there(a, "f"));
    EXPECT_GT(renamed->source.after, renamed->source.before);
    const auto sub = make(a, "sub", true);
    ASSERT_TRUE(v.run(v.fs->rename(ctx, a, "sub", b, "sub")));
    EXPECT_EQ(attributes(a).link_count, 2u);
    EXPECT_EQ(attributes(b).link_count, 3u);
    EXPECT_EQ(v.run(v.fs->lookup_parent(ctx, sub))->id, b);
}

TEST_F(Names, rename_refuses_what_posix_refuses) {
    const auto a = make(root, "a", true);
    const auto sub = make(a, "sub", true);
    const auto file = make(root, "f");
    EXPECT_EQ(error_of(v.fs->rename(ctx, root, "a", sub, "x")), Errc::invalid_argument);
    EXPECT_EQ(error_of(v.fs->rename(ctx, root, "a", a, "x")), Errc::invalid_argument);
    EXPECT_EQ(error_of(v.fs->rename(ctx, root, "f", root, "a")), Errc::exists);
    EXPECT_EQ(error_of(v.fs->rename(ctx, root, "a", root, "f")), Errc::exists);
    make(root, "b", true);
    make(sub, "x");
    EXPECT_EQ(error_of(v.fs->rename(ctx, root, "b", a, "sub")), Errc::not_empty);
    EXPECT_EQ(error_of(v.fs->rename(ctx, root, "no", root, "x")), Errc::not_found);
    ASSERT_TRUE(v.run(v.fs->link(ctx, file, root, "f2")));
    ASSERT_TRUE(v.run(v.fs->rename(ctx, root, "f", root, "f2")));
    EXPECT_TRUE(there(root, "f"));
    EXPECT_TRUE(there(root, "f2"));
}

TEST_F(Names, domains_keep_renames_and_links_inside) {
    auto request = v.folder();
    request.new_domain = 1;
    const auto one = v.run(v.fs->create(ctx, root, "one", request))->entry.id;
    request.new_domain = 2;
    const auto two = v.run(v.fs->create(ctx, root, "two", request))->entry.id;
    const auto file = make(one, "f");
    EXPECT_EQ(attributes(file).domain, 1u);
    EXPECT_EQ(error_of(v.fs->rename(ctx, one, "f", two, "f")), Errc::cross_domain);
    EXPECT_EQ(error_of(v.fs->link(ctx, file, two, "f")), Errc::cross_domain);
}

TEST_F(Names, a_directory_is_listed_once_each_while_others_come_and_go) {
    std::set<std::string> stay;
    for (int i = 0; i < 500; ++i) {
        make(root, "stay" + std::to_string(i));
        make(root, "go" + std::to_string(i));
        stay.insert("stay" + std::to_string(i));
    }
    std::multiset<std::string> seen;
    std::uint64_t cookie = 0;
    for (int round = 0;; ++round) {
        int n = 0;
        auto page = v.run(v.fs->read_directory(ctx, root, cookie, [&](const vfs::DirectoryEntry& e) {
            if (n++ == 37) return false;
            seen.emplace(e.name);
            cookie = e.cookie;
            return true;
        }));
        ASSERT_TRUE(page);
        if (page->end) break;
        (void)v.run(v.fs->remove(ctx, root, "go" + std::to_string(499 - round), RemoveKind::any));
        make(root, "new" + std::to_string(round));
    }
    for (const auto& name : stay) EXPECT_EQ(seen.count(name), 1u) << name;
}

TEST_F(Names, a_large_directory_survives_a_restart_in_the_same_order) {
    for (int i = 0; i < 9000; ++i) make(root, "f" + std::to_string(i));
    const auto before = list(root);
    settle();
    v.restart();
    ctx = v.root();
    EXPECT_EQ(list(root, 100), before);
}

TEST_F(Names, a_refused_removal_of_a_large_directory_loads_few_of_its_names) {
    const auto dir = make(root, "d", true);
    for (int i = 0; i < 500; ++i) make(dir, "f" + std::to_string(i));
    const auto other = make(root, "e", true);
    v.restart();
    EXPECT_EQ(error_of(v.fs->remove(ctx, root, "d", RemoveKind::any)), Errc::not_empty);
    EXPECT_EQ(error_of(v.fs->rename(ctx, root, "e", root, "d")), Errc::not_empty);
    EXPECT_LE(v.volume->nodes().find(dir.inode)->directory->size(), 32u);
    EXPECT_NE(other, vfs::FileId{});
}

TEST_F(Names, a_directory_emptied_name_by_name_goes) {
    const auto dir = make(root, "d", true);
    for (int i = 0; i < 100; ++i) make(dir, "f" + std::to_string(i));
    v.restart();
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(v.run(v.fs->remove(ctx, dir, "f" + std::to_string(i), RemoveKind::any)));
    EXPECT_TRUE(v.run(v.fs->remove(ctx, root, "d", RemoveKind::any)));
    EXPECT_FALSE(there(root, "d"));
}

TEST_F(Names, a_very_large_directory_is_listed_without_being_held_in_memory) {
    const auto dir = make(root, "d", true);
    for (int i = 0; i < 6000; ++i) make(dir, "f" + std::to_string(i));
    v.config.directory_entries_max = 1000;
    v.restart();
    std::vector<std::string> expected;
    for (int i = 0; i < 6000; ++i) {
        if (i % 3 == 0 || (i > 1000 && i < 2000)) {
            EXPECT_TRUE(v.run(v.fs->remove(ctx, dir, "f" + std::to_string(i), RemoveKind::any)));
        } else {
            expected.push_back("f" + std::to_string(i));
        }
    }
    for (int i = 0; i < 200; ++i) {
        make(dir, "g" + std::to_string(i));
        expected.push_back("g" + std::to_string(i));
    }
    EXPECT_EQ(list(dir, 100), expected);
    EXPECT_FALSE(v.volume->nodes().find(dir.inode)->directory->complete());
    // While others come and go, each that stays is told once.
    std::vector<std::string> seen;
    std::uint64_t cookie = 0;
    for (bool end = false; !end;) {
        std::size_t n = 0;
        auto got = v.run(v.fs->read_directory(ctx, dir, cookie, [&](const vfs::DirectoryEntry& e) {
            if (n++ == 300) return false;
            seen.emplace_back(e.name);
            cookie = e.cookie;
            return true;
        }));
        ASSERT_TRUE(got);
        end = got->end;
        if (!seen.empty() && seen.back().starts_with("f")) {
            EXPECT_TRUE(v.run(v.fs->remove(ctx, dir, seen.back(), RemoveKind::any)));
        }
    }
    EXPECT_EQ(seen, expected);
}

TEST_F(Names, what_was_settled_survives_a_crash_and_cookies_are_never_reused) {
    make(root, "a");
    const auto gone = make(root, "b");
    (void)gone;
    settle();
    ASSERT_TRUE(v.run(v.fs->remove(ctx, root, "b", RemoveKind::any)));
    settle();
    v.crash();
    ctx = v.root();
    EXPECT_EQ(list(root), std::vector<std::string>{"a"});
    const auto c = make(root, "c");
    EXPECT_NE(c.inode, gone.inode);
    EXPECT_EQ(list(root), (std::vector<std::string>{"a", "c"}));
}

TEST_F(Names, a_reader_waits_for_what_it_saw) {
    ASSERT_TRUE(v.run(v.fs->create(ctx, root, "f", v.file())));
    const auto reader = v.as(5, 5);
    ASSERT_TRUE(v.run(v.fs->lookup(reader, root, "f")));
    EXPECT_FALSE(v.fs->settled(reader));
    ASSERT_TRUE(v.run(v.fs->settle(reader)));
    EXPECT_TRUE(v.fs->settled(reader));
}

TEST_F(Names, permissions_hold_for_names) {
    auto request = v.folder(0755);
    const auto dir = v.run(v.fs->create(ctx, root, "d", request))->entry.id;
    make(dir, "f");
    const auto other = v.as(1000, 1000);
    EXPECT_EQ(error_of(v.fs->create(other, dir, "x", v.file())), Errc::access);
    EXPECT_EQ(error_of(v.fs->remove(other, dir, "f", RemoveKind::any)), Errc::access);
    EXPECT_EQ(error_of(v.fs->rename(other, dir, "f", dir, "g")), Errc::access);
    vfs::SetAttributes set;
    set.mode = 0700;
    ctx = v.root();
    ASSERT_TRUE(v.run(v.fs->set_attributes(ctx, dir, set, false)));
    const auto again = v.as(1000, 1000);
    EXPECT_EQ(error_of(v.fs->lookup(again, dir, "f")), Errc::access);
}

TEST_F(Names, who_may_set_what) {
    auto request = v.file(0644);
    request.attributes.uid = 1000;
    request.attributes.gid = 1000;
    const auto file = v.run(v.fs->create(ctx, root, "f", request))->entry.id;
    const auto owner = v.as(1000, 1000), other = v.as(2000, 2000);
    vfs::SetAttributes chmod, chown, touch, utimes;
    chmod.mode = 0600;
    chown.uid = 2000;
    touch.modify_time_now = true;
    utimes.modify_time = Timestamp{5, 6};
    EXPECT_EQ(error_of(v.fs->set_attributes(other, file, chmod, false)), Errc::permission);
    EXPECT_EQ(error_of(v.fs->set_attributes(owner, file, chown, false)), Errc::permission);
    EXPECT_EQ(error_of(v.fs->set_attributes(other, file, touch, false)), Errc::access);
    EXPECT_EQ(error_of(v.fs->set_attributes(other, file, utimes, false)), Errc::permission);
    auto set = v.run(v.fs->set_attributes(owner, file, utimes, false));
    ASSERT_TRUE(set);
    EXPECT_EQ(set->modify_time, (Timestamp{5, 6}));
    EXPECT_TRUE(v.run(v.fs->set_attributes(owner, file, chmod, false)));
}

TEST_F(Names, every_change_raises_the_change_counter) {
    const auto file = make(root, "f");
    const auto before = attributes(file).change;
    vfs::SetAttributes set;
    set.mode = 0600;
    (void)v.run(v.fs->set_attributes(ctx, file, set, false));
    (void)v.run(v.fs->set_attributes(ctx, file, set, false));
    EXPECT_EQ(attributes(file).change, before + 2);
}

TEST_F(Names, user_attributes_are_kept_over_a_restart) {
    const auto file = make(root, "f");
    using Mode = vfs::FileSystem::XattrMode;
    ASSERT_TRUE(v.run(v.fs->set_xattr(ctx, file, "b", "2", Mode::either)));
    ASSERT_TRUE(v.run(v.fs->set_xattr(ctx, file, "a", "1", Mode::create)));
    EXPECT_EQ(error_of(v.fs->set_xattr(ctx, file, "a", "1", Mode::create)), Errc::exists);
    EXPECT_EQ(error_of(v.fs->set_xattr(ctx, file, "c", "1", Mode::replace)), Errc::no_xattr);
    settle();
    v.restart();
    ctx = v.root();
    EXPECT_EQ(*v.run(v.fs->list_xattrs(ctx, file)), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(*v.run(v.fs->get_xattr(ctx, file, "a")), "1");
    ASSERT_TRUE(v.run(v.fs->remove_xattr(ctx, file, "a")));
    EXPECT_EQ(error_of(v.fs->get_xattr(ctx, file, "a")), Errc::no_xattr);
}

TEST_F(Names, links_devices_and_their_kin_are_what_they_were_made_as) {
    vfs::CreateRequest request = v.file(0777);
    request.type = vfs::FileType::symlink;
    request.symlink_target = "/else/where";
    const auto link = v.run(v.fs->create(ctx, root, "l", request))->entry.id;
    EXPECT_EQ(*v.run(v.fs->read_link(ctx, link)), "/else/where");
    EXPECT_EQ(error_of(v.fs->lookup(ctx, link, "x")), Errc::is_symlink);
    request.type = vfs::FileType::character_device;
    request.device = {1, 3};
    const auto device = v.run(v.fs->create(ctx, root, "null", request))->entry.id;
    EXPECT_EQ(attributes(device).device, (vfs::Device{1, 3}));
    EXPECT_EQ(error_of(v.fs->read(ctx, device, 0, 1)), Errc::wrong_type);
}

}  // namespace
}  // namespace strata::cluster
