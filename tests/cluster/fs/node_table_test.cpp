// SPDX-License-Identifier: Apache-2.0
// The bound of the node table is one of memory, not of numbers.
#include "cluster/fs/node_table.h"

#include <gtest/gtest.h>

#include "cluster/fs/directory.h"

namespace strata::cluster {
namespace {

NodePtr load(NodeTable& table, InodeNumber number, vfs::FileType type = vfs::FileType::regular) {
    table.begin_load(number);
    InodeRow row;
    row.number = number;
    row.type = type;
    return table.end_load(number, row);
}

void fill(NodeTable& table, Node& directory, std::size_t entries) {
    std::lock_guard lock(directory.mutex);
    for (std::size_t i = 0; i < entries; ++i) {
        EntryRow row;
        row.name = "entry" + std::to_string(i);
        row.cookie = 3 + i;
        directory.directory->loaded(row);
    }
    table.weigh(directory);
}

TEST(NodeTable, a_large_directory_counts_as_what_it_takes) {
    std::vector<NodePtr> buried;
    NodeTable table(2000, [](const Node&) { return true; }, [&](NodePtr node) { buried.push_back(std::move(node)); });
    for (InodeNumber number = 1; number <= 1000; ++number) load(table, number);
    EXPECT_EQ(table.size(), 1000u);
    NodePtr large = load(table, 5000, vfs::FileType::directory);
    fill(table, *large, 20'000);
    EXPECT_GT(table.bytes(), 2000 * node_bytes);
    large.reset();
    for (InodeNumber number = 10'000; number < 14'000; ++number) load(table, number);
    EXPECT_EQ(table.find(5000), nullptr);
    ASSERT_EQ(buried.size(), 1u) << "its end is somebody else's work";
    EXPECT_EQ(buried[0]->number, 5000u);
    EXPECT_LE(table.bytes(), 2100 * node_bytes);
    EXPECT_GT(table.size(), 1500u) << "small ones have its room again";
}

TEST(NodeTable, what_is_in_use_stays_however_much_it_is) {
    NodeTable table(1024, [](const Node&) { return true; });
    const NodePtr large = load(table, 1, vfs::FileType::directory);
    fill(table, *large, 20'000);
    for (InodeNumber number = 10; number < 3000; ++number) load(table, number);
    EXPECT_EQ(table.find(1), large);
}

}  // namespace
}  // namespace strata::cluster
