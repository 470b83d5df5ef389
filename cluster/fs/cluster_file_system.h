// SPDX-License-Identifier: Apache-2.0
// ClusterFileSystem: vfs::FileSystem over a Volume. One file a phase: lookup, create, remove, rename, attributes, xattrs, reading
// directories; the bytes of files are the DataEngine's.
#pragma once

#include <functional>

#include "cluster/fs/directory.h"
#include "cluster/fs/volume.h"
#include "server/vfs/file_system.h"

namespace strata::cluster {

class ClusterFileSystem final : public vfs::FileSystem {
public:
    explicit ClusterFileSystem(Volume& volume) : volume_(volume) {}

    // Makes the root directory of a new volume, owned by uid 0, mode 0755. Fine if it exists.
    Task<Result<>> make_root(const Context& ctx);

    Task<Result<vfs::Entry>> lookup(const Context& ctx, vfs::FileId dir, std::string_view name) override;
    Task<Result<vfs::Entry>> lookup_parent(const Context& ctx, vfs::FileId dir) override;
    Task<Result<vfs::Created>> create(const Context& ctx, vfs::FileId dir, std::string_view name,
                                      const vfs::CreateRequest& request) override;
    Task<Result<vfs::Removed>> remove(const Context& ctx, vfs::FileId dir, std::string_view name, vfs::RemoveKind kind) override;
    Task<Result<vfs::Renamed>> rename(const Context& ctx, vfs::FileId from, std::string_view name, vfs::FileId to,
                                      std::string_view new_name) override;
    Task<Result<vfs::ChangeInfo>> link(const Context& ctx, vfs::FileId file, vfs::FileId dir, std::string_view name) override;
    Task<Result<std::string>> read_link(const Context& ctx, vfs::FileId file) override;
    Task<Result<vfs::DirectoryPage>> read_directory(const Context& ctx, vfs::FileId dir, std::uint64_t cookie,
                                                    const vfs::DirectoryVisitor& visit) override;

    Task<Result<vfs::Attributes>> get_attributes(const Context& ctx, vfs::FileId file) override;
    Task<Result<vfs::Attributes>> set_attributes(const Context& ctx, vfs::FileId file, const vfs::SetAttributes& set,
                                                 bool opened_for_write) override;
    Task<Result<vfs::AccessMask>> check_access(const Context& ctx, vfs::FileId file, vfs::AccessMask wanted) override;
    Task<Result<std::string>> get_xattr(const Context& ctx, vfs::FileId file, std::string_view name) override;
    Task<Result<vfs::ChangeInfo>> set_xattr(const Context& ctx, vfs::FileId file, std::string_view name, std::string_view value,
                                            XattrMode mode) override;
    Task<Result<vfs::ChangeInfo>> remove_xattr(const Context& ctx, vfs::FileId file, std::string_view name) override;
    Task<Result<std::vector<std::string>>> list_xattrs(const Context& ctx, vfs::FileId file) override;

    Task<Result<vfs::ReadResult>> read(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint32_t count) override;
    Task<Result<vfs::WriteResult>> write(const Context& ctx, vfs::FileId file, std::uint64_t offset, BufferChain data,
                                         vfs::Stability wanted) override;
    Task<Result<std::uint64_t>> commit(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint64_t count) override;
    Task<Result<>> allocate(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint64_t length) override;
    Task<Result<>> deallocate(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint64_t length) override;
    Task<Result<vfs::Extent>> map(const Context& ctx, vfs::FileId file, std::uint64_t offset) override;
    Task<Result<>> clone(const Context& ctx, vfs::FileId source, std::uint64_t source_offset, vfs::FileId target,
                         std::uint64_t target_offset, std::uint64_t length) override;
    Task<Result<vfs::CopyResult>> copy(const Context& ctx, vfs::FileId source, std::uint64_t source_offset, vfs::FileId target,
                                       std::uint64_t target_offset, std::uint64_t length) override;

    Task<Result<>> settle(const Context& ctx) override;
    bool settled(const Context& ctx) const override;
    Task<Result<std::unique_ptr<vfs::Pin>>> pin(const Context& ctx, vfs::FileId file) override;
    Task<Result<vfs::Space>> space(const Context& ctx, vfs::FileId any_file_of_the_domain) override;
    vfs::FileId root() const override;
    vfs::Uuid volume() const override { return volume_.parts().meta->volume().uuid; }
    std::uint64_t write_verifier() const override { return volume_.data().write_verifier(); }

private:
    struct Target {  // an entry and its child, both found
        NodePtr node;
        DirectoryEntryPtr entry;
    };
    // The directory's node. Errors: stale, not_directory.
    Task<Result<NodePtr>> directory(const Context& ctx, vfs::FileId dir);
    // The regular file's node. Errors: stale, is_directory, wrong_type, is_symlink.
    Task<Result<NodePtr>> regular(const Context& ctx, vfs::FileId file);
    // Makes the directory know `name` (an entry or its absence).
    Task<Result<>> load_name(const Context& ctx, NodePtr dir, std::string name);
    // Makes the directory know all its names, unless it is large.
    Task<Result<>> load_all(const Context& ctx, NodePtr dir);
    // Makes the directory know one of its names, or else that it has none.
    Task<Result<>> load_any(const Context& ctx, NodePtr dir);
    Task<Result<>> load_until(const Context& ctx, NodePtr dir, std::size_t page, std::function<bool(Directory&)> enough);
    // The next entries after `cookie` of a directory that is not in memory as a whole; empty: there are no more.
    Task<Result<std::vector<DirectoryEntryPtr>>> read_page(const Context& ctx, NodePtr dir, std::uint64_t cookie);
    // The entry of that name and its child's node; an absence is an empty Target. No mutex held on return: check again under it.
    Task<Result<Target>> resolve(const Context& ctx, const NodePtr& dir, std::string_view name);
    // With dir's mutex held: does `name` still mean what resolve() found?
    static bool still(const Node& dir, std::string_view name, const DirectoryEntryPtr& entry);

    Result<NodePtr> make_node(const Context& ctx, const Node& dir, const vfs::CreateRequest& request);
    Task<Result<vfs::Created>> open_existing(const Context& ctx, Target target, const vfs::CreateRequest& request);
    Task<Result<>> load_xattrs(const Context& ctx, const NodePtr& node);
    Task<Result<std::vector<NodePtr>>> ancestors(const Context& ctx, NodePtr dir);

    Volume& volume_;
};

// The raise of a request's commit point to what it saw of `node`. mutex held.
inline void observe(const Context& ctx, LogIndex index) {
    if (ctx.commit_point != nullptr) ctx.commit_point->raise(index);
}

// A new entry's row, taking the directory's next cookie; and the same in memory. The directory's mutex is held.
EntryRow entry_row(Node& dir, std::string_view name, const Node& child);
void insert_entry(Node& dir, const EntryRow& row, LogIndex index);

// Errors: bad_name (empty, ".", "..", '/' or NUL inside, not UTF-8), name_too_long.
Result<> check_name(std::string_view name);

}  // namespace strata::cluster
