// SPDX-License-Identifier: Apache-2.0
// MemoryFileSystem: vfs::FileSystem as plain maps and pages: the model that protocol tests run on and the simulator's oracle compares with.
//
// Single-threaded, no durability: everything is settled, unless a hook says otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/clock.h"
#include "server/vfs/file_system.h"
#include "server/vfs/record_store.h"

namespace strata::sim {

class MemoryFileSystem final : public vfs::FileSystem {
public:
    explicit MemoryFileSystem(Clock& clock, std::uint64_t capacity_bytes = std::uint64_t{1} << 30);
    ~MemoryFileSystem() override;

    // Awaited at the start of every call, with the call's name: tests suspend or delay here. Empty: calls never suspend.
    std::function<Task<>(std::string_view call)> before_call;
    // Awaited by settle() if set; then settled() is false for who has changed or seen anything.
    std::function<Task<Result<>>()> on_settle;
    // Bytes written and not yet committed can be dropped by a test: raises the write verifier, as a restart would.
    void change_write_verifier() { ++verifier_; }
    std::uint64_t calls() const { return calls_; }
    std::size_t pins() const { return pins_; }
    std::size_t objects() const { return nodes_.size(); }

    using Context = strata::Context;
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
    vfs::FileId root() const override { return {1, 1}; }
    vfs::Uuid volume() const override { return volume_; }
    std::uint64_t write_verifier() const override { return verifier_; }

    static constexpr std::size_t page_size = 4096;

private:
    struct Node;
    struct NodePin;
    using Page = std::array<std::byte, page_size>;

    Task<> enter(std::string_view call);
    void saw(const Context& ctx) const;
    Result<Node*> find(vfs::FileId id);
    Result<Node*> directory(vfs::FileId id);
    Result<Node*> entry(Node& dir, std::string_view name);
    Result<Node*> regular(vfs::FileId id);
    void touch(Node& node, bool data);
    vfs::ChangeInfo touch_directory(Node& dir);
    Node& make(const Context& ctx, Node& dir, const vfs::CreateRequest& request);
    void put(Node& dir, std::string_view name, Node& node);
    void take(Node& dir, std::string_view name, Node& node);
    void reap(Node& node);
    bool is_inside(const Node& node, std::uint64_t inode);
    Result<> check_set(const Context& ctx, const Node& node, const vfs::SetAttributes& set, bool opened_for_write) const;
    void apply_set(const Context& ctx, Node& node, const vfs::SetAttributes& set);
    void resize(Node& node, std::uint64_t size);
    Result<> store(Node& node, std::uint64_t offset, std::span<const std::byte> bytes);
    std::vector<std::byte> load(const Node& node, std::uint64_t offset, std::uint64_t count) const;

    Clock& clock_;
    std::uint64_t capacity_;
    std::uint64_t pages_ = 0;
    std::map<std::uint64_t, std::unique_ptr<Node>> nodes_;
    std::uint64_t next_inode_ = 2;
    std::uint64_t change_ = 1;
    std::uint64_t verifier_ = 0x5157a7a;
    std::uint64_t calls_ = 0;
    std::size_t pins_ = 0;
    vfs::Uuid volume_{0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79};
};

// RecordStore as a map. `puts` and `erases` count what a disk would have seen.
class MemoryRecordStore final : public vfs::RecordStore {
public:
    Task<Result<std::string>> get(const Context& ctx, std::string_view table, std::string_view key) override;
    Task<Result<>> put(const Context& ctx, std::string_view table, std::string_view key, std::string_view value) override;
    Task<Result<>> erase(const Context& ctx, std::string_view table, std::string_view key) override;
    Task<Result<>> erase_all(const Context& ctx, std::string_view table, const std::vector<std::string>& keys) override;
    Task<Result<std::vector<std::pair<std::string, std::string>>>> scan(const Context& ctx, std::string_view table) override;

    std::map<std::string, std::map<std::string, std::string, std::less<>>, std::less<>> tables;
    std::uint64_t puts = 0, erases = 0;  // calls
    bool broken = false;                 // nothing is put or erased: every such call times out
};

}  // namespace strata::sim
