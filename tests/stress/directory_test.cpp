// SPDX-License-Identifier: Apache-2.0
// Many clients on the same few names of two directories.
#include <array>
#include <atomic>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/bench/driver.h"
#include "tests/bench/failure.h"
#include "tests/stress/administrator.h"
#include "tests/stress/client.h"
#include "tests/stress/crowd.h"
#include "tests/stress/served_volume.h"

namespace strata::stress {

namespace {

using bench::Choice;

constexpr int clients = 20, operations = 1000;
constexpr std::uint32_t file_names = 8, folder_names = 3;
constexpr std::uint32_t type_directory = 2;

std::string file_name(std::uint32_t i) { return "file" + std::to_string(i); }
std::string folder_name(std::uint32_t i) { return "folder" + std::to_string(i); }

// Two directories, so that renames and links cross from either to the other.
using Pair = std::array<Bytes, 2>;

class DirectoryClient {
public:
    DirectoryClient(const ServedVolume& volume, const Pair& directories, View archive, int number)
        : client_(volume.target(), "directory client " + std::to_string(number)),
          directories_(directories),
          archive_(archive.begin(), archive.end()),
          choice_(static_cast<std::uint64_t>(number) + 1),
          own_("own" + std::to_string(number)) {}

    void play() {
        for (int i = 0; i < operations; ++i) step();
        client_.session().destroy();
    }

private:
    const Bytes& directory() { return directories_[choice_.below(2)]; }
    std::string file() { return file_name(choice_.below(file_names)); }
    std::string folder() { return folder_name(choice_.below(folder_names)); }

    void step() {
        Facts facts;
        switch (choice_.below(15)) {
            case 0:
            case 1: client_.create_file(directory(), file()); break;
            case 2: client_.read_file(directory(), file()); break;
            case 3:
            case 4: client_.rename(directory(), file(), directory(), file()); break;
            case 5: client_.link(directory(), file(), directory(), file()); break;
            case 6: client_.remove(directory(), file()); break;
            case 7: client_.lookup(directory(), file(), facts); break;
            case 8: client_.make_directory(directory(), folder()); break;
            case 9: client_.rename(directory(), folder(), directory(), folder()); break;
            case 10: client_.remove(directory(), folder()); break;
            case 11: fill_folder(); break;
            case 12: list_one(); break;
            case 13: use_archive(); break;
            default: keep_own_name(); break;
        }
    }

    void fill_folder() {
        Facts facts;
        Bytes handle;
        if (client_.lookup(directory(), folder(), facts, &handle) != ok) return;
        if (choice_.below(3) == 0) {
            client_.create_file(handle, file());
        } else {
            client_.remove(handle, file());
        }
    }

    // Small pages: others change the directory between two of them.
    void list_one() {
        const auto& directory = this->directory();
        const bool mine = &directory == own_place_;
        const auto entries = client_.list(directory, choice_.below(2) == 0 ? 300 : 8192);
        const auto own = entries.find(own_);
        if ((own == entries.end() ? 0 : own->second.times) != (mine ? 1 : 0))
            bench::fail("READDIR does not agree with what this client alone made or removed");
    }

    // More files than memory holds: old ones have to be loaded again.
    void use_archive() {
        const auto name = [&](std::uint32_t i) { return own_ + "." + std::to_string(i); };
        if (client_.create_file(archive_, name(archived_)) != ok) bench::fail("a file cannot be made");
        const auto old = choice_.below(++archived_);
        Facts facts;
        if (client_.lookup(archive_, name(old), facts) != ok) bench::fail("a file that nobody removed is not there");
        if (facts.size != 8 || facts.links != 1) bench::fail("a file that nobody changed is not what it was");
        if (client_.read_file(archive_, name(old)) != ok) bench::fail("a file that nobody removed cannot be opened");
    }

    // A name that only this client uses is exactly where it put it.
    void keep_own_name() {
        Facts facts;
        if (own_place_ == nullptr) {
            own_place_ = &directory();
            client_.create_file(*own_place_, own_);
        } else if (choice_.below(3) == 0) {
            if (client_.remove(*own_place_, own_) != ok) bench::fail("REMOVE does not find a name that nobody else uses");
            if (client_.lookup(*own_place_, own_, facts) != err_noent) bench::fail("a removed name is still there");
            own_place_ = nullptr;
        } else {
            const auto* to = &directory();
            if (client_.rename(*own_place_, own_, *to, own_) != ok) bench::fail("RENAME does not find a name that nobody else uses");
            if (client_.lookup(*to, own_, facts) != ok) bench::fail("a renamed file is not there");
            if (facts.size != 8 || facts.links != 1) bench::fail("a renamed file is not what it was");
            if (to != own_place_ && client_.lookup(*own_place_, own_, facts) != err_noent) bench::fail("a renamed file's old name is left");
            own_place_ = to;
        }
    }

    Client client_;
    const Pair& directories_;
    Bytes archive_;
    std::uint32_t archived_ = 0;
    Choice choice_;
    std::string own_;
    const Bytes* own_place_ = nullptr;  // where it is now
};

// READDIR, LOOKUP of every name that may be there, and LOOKUPP agree; link counts are what the names make.
void expect_consistent(Client& client, const Pair& directories) {
    std::map<std::uint64_t, std::uint32_t> names_of;
    std::map<std::uint64_t, std::uint32_t> links_of;
    for (const auto& directory : directories) {
        const auto entries = client.list(directory, 4096);
        std::set<std::string> possible;
        for (std::uint32_t i = 0; i < file_names; ++i) possible.insert(file_name(i));
        for (std::uint32_t i = 0; i < folder_names; ++i) possible.insert(folder_name(i));
        for (int i = 0; i < clients; ++i) possible.insert("own" + std::to_string(i));
        std::uint32_t folders = 0;
        for (const auto& name : possible) {
            Facts facts;
            Bytes handle;
            const bool found = client.lookup(directory, name, facts, &handle) == ok;
            const auto entry = entries.find(name);
            ASSERT_EQ(found, entry != entries.end()) << name;
            if (!found) continue;
            EXPECT_EQ(facts.fileid, entry->second.fileid) << name;
            EXPECT_EQ(facts.type, entry->second.type) << name;
            if (facts.type == type_directory) {
                ++folders;
                EXPECT_EQ(client.parent(handle), directory) << name;
                EXPECT_EQ(facts.links, 2u) << name;
            } else {
                ++names_of[facts.fileid];
                links_of[facts.fileid] = facts.links;
            }
        }
        for (const auto& [name, entry] : entries) {
            EXPECT_TRUE(possible.contains(name)) << name;
            EXPECT_EQ(entry.times, 1) << name;
        }
        EXPECT_EQ(client.facts(directory).links, 2 + folders);
    }
    EXPECT_EQ(names_of, links_of);
}

void remove_all(Client& client, const Bytes& directory) {
    for (const auto& [name, entry] : client.list(directory, 4096)) {
        if (entry.type == type_directory) {
            Facts facts;
            Bytes handle;
            ASSERT_EQ(client.lookup(directory, name, facts, &handle), ok);
            remove_all(client, handle);
        }
        EXPECT_EQ(client.remove(directory, name), ok) << name;
    }
}

}  // namespace

TEST(StressDirectory, many_clients_work_on_the_same_names_and_agree_in_the_end) {
    ServedVolume volume({.grace_seconds = 1});
    Client first(volume.target(), "the first client");
    ASSERT_EQ(first.make_directory(first.share(), "a"), ok);
    ASSERT_EQ(first.make_directory(first.share(), "b"), ok);
    ASSERT_EQ(first.make_directory(first.share(), "archive"), ok);
    Pair directories;
    Bytes archive;
    std::array<Facts, 2> before;
    ASSERT_EQ(first.lookup(first.share(), "archive", before[0], &archive), ok);
    ASSERT_EQ(first.lookup(first.share(), "a", before[0], directories.data()), ok);
    ASSERT_EQ(first.lookup(first.share(), "b", before[1], &directories[1]), ok);
    {
        Administrator administrator(volume);
        Crowd crowd;
        crowd.start(clients, "client", [&](int i) { DirectoryClient(volume, directories, archive, i).play(); });
        crowd.join();
    }
    for (std::size_t i = 0; i < directories.size(); ++i) EXPECT_GT(first.facts(directories[i]).change, before[i].change);
    expect_consistent(first, directories);
    first.session().destroy();

    ASSERT_TRUE(volume.stop());
    volume.start();
    Client second(volume.target(), "the second client");
    expect_consistent(second, directories);
    for (const auto& directory : directories) remove_all(second, directory);
    EXPECT_EQ(second.remove(second.share(), "a"), ok);
    EXPECT_EQ(second.remove(second.share(), "b"), ok);
    second.session().destroy();
    EXPECT_TRUE(volume.stop());
}

}  // namespace strata::stress
