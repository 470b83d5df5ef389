// SPDX-License-Identifier: Apache-2.0
// Client: works in a folder of its own, by seed, knows all that was acknowledged to it, and compares after every crash.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/workloads/content_oracle.h"
#include "tests/sim/workloads/name_oracle.h"
#include "tests/sim/workloads/node_world.h"

namespace strata::sim {

// One call at a time. Declare it after the NodeWorld.
class Client {
public:
    Client(NodeWorld& node, int number);
    ~Client();

    // Makes the folder, unless it is there.
    Task<> set_up();
    // So many operations, fewer if the power fails.
    Task<> work(int operations);
    // Commits every file and waits for all names: everything is acknowledged then.
    Task<> settle_all();
    // Makes files of `bytes` each, durably, until one is refused for want of space (true), at most so many.
    Task<bool> fill(int files_max, std::size_t bytes);
    // Removes about half of all files.
    Task<> make_room();
    // After an opening: what is there has to be possible; it is what the client goes on from. `all`: nothing may be missing.
    Task<> recover(bool all);

    // Errors that operations may meet without the power being cut (full or failing disks).
    std::set<Errc> forgiven;
    std::uint64_t forgiven_count = 0;
    std::uint64_t acknowledged_count = 0;
    std::uint64_t lost_count = 0;  // unacknowledged changes that a crash took

private:
    using Request = NodeWorld::Request;
    struct File {
        ContentOracle content;
        std::uint64_t born = 0;  // position of its creation
    };
    struct Shown {
        std::uint64_t change = 0;
        ContentOracle::Content content;  // what the counter stood for
    };
    struct Place {
        ObjectKey folder = 0;
        std::string name;
        ObjectKey object = 0;
    };

    // --- client.cpp: names ---
    Task<> step();
    Task<> create();
    Task<> create_file(ObjectKey folder, std::string name, vfs::CreateMode mode);
    Task<> make_folder();
    Task<> make_symlink();
    Task<> link();
    Task<> rename();
    Task<> remove();
    Task<> remove_entry(Place entry);
    Task<> remove_opened();
    Task<> set_mode();
    Task<> set_xattr();
    Task<> look();
    void apply_rename(const Place& from, ObjectKey to, const std::string& name);

    // --- client_data.cpp ---
    Task<> write();
    Task<> write_at(ObjectKey file, std::uint64_t offset, std::size_t count, vfs::Stability wanted);
    Task<> commit();
    Task<> set_size();
    Task<> make_hole();
    Task<> reserve();
    Task<> clone();
    Task<> compare();
    Task<Result<std::string>> read_all(const Request& request, vfs::FileId file);

    // --- client_recovery.cpp ---
    Task<Result<FoundNames>> walk(const Request& request);
    Task<Result<>> walk_folder(const Request& request, vfs::FileId folder, FoundNames& found, std::vector<vfs::FileId>& folders);
    Task<Result<>> facts_of(const Request& request, vfs::FileId id, const vfs::Attributes& attributes, FoundNames& found);
    Task<> compare_files(bool all);
    Task<> compare_file(const Request& request, ObjectKey key, bool all);
    void check_change(ObjectKey key, const vfs::Attributes& attributes);
    // An operation that failed although there is power: did it happen?
    Task<> find_out();

    // The answer of a call. Waits, mostly, until it is durable, and then notes what that acknowledges. False: it failed.
    template <class T>
    Task<bool> answered(Request& request, const Result<T>& result, std::string_view what) {
        return finish(request, result ? std::nullopt : std::optional<Error>(result.error()), what);
    }
    Task<bool> finish(Request& request, std::optional<Error> error, std::string_view what);
    void acknowledge(std::uint64_t position);
    void committed(File& file);
    void wrong(std::string_view what, const Error& error);
    Task<> show(ObjectKey key);

    vfs::FileSystem& fs() { return node_.storage().fs(); }
    vfs::FileId id(ObjectKey key) const { return ids_.at(key); }
    const Names& names() const { return names_.newest(); }
    ObjectKey some_folder();
    std::optional<ObjectKey> some_file();
    std::optional<Place> some_entry();
    std::string fresh_name(ObjectKey folder);
    std::string some_bytes(std::uint64_t offset, std::size_t count);

    NodeWorld& node_;
    SimRandom random_;
    const int number_;
    NameOracle names_;
    NameOracle::Ids ids_;
    std::map<ObjectKey, File> files_;
    std::map<ObjectKey, Shown> shown_;
    ObjectKey next_key_ = 1;
    std::uint64_t writes_ = 0;
    bool unsure_ = false;  // an operation failed with power on
};

}  // namespace strata::sim
