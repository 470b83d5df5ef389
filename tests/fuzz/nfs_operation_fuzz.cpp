// SPDX-License-Identifier: Apache-2.0
// Fuzz: file operations with any arguments in any order, over a small tree in memory, crash nothing and keep to the room of the reply.
//
//   input := minor_version(u8) (code(u8) arguments)*        each operation takes from the input what it reads
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "nfs/compound.h"
#include "nfs/ops/op.h"
#include "nfs/service.h"
#include "server/base/assert.h"
#include "tests/sim/memory_file_system.h"
#include "tests/sim/world.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t file_operations[] = {3,  5,  6,  9,  10, 11, 15, 16, 17, 22, 24, 25, 26, 27, 28, 29, 31,
                                             32, 34, 37, 38, 59, 60, 62, 63, 66, 67, 68, 69, 71, 72, 73, 74, 75};
constexpr std::size_t reply_limit = 20000;

// What all inputs start from: a share with a file of data and a hole, a directory with entries, and a link.
struct Tree {
    sim::World world{1};
    sim::MemoryFileSystem fs{world.clock(), 8 << 20};
    sim::MemoryRecordStore records;
    vfs::ShareTable shares;
    vfs::FileStateTable files;
    BufferPool pool{16 << 20};
    Credentials root = Credentials::superuser();
    Context ctx;
    std::unique_ptr<Service> service;
    ConnectionState connection;

    Tree() {
        ctx.clock = &world.clock();
        ctx.caller = &root;
        const auto file = make("file", vfs::FileType::regular);
        STRATA_ASSERT(world.run(fs.write(ctx, file, 8192, BufferChain::copy_of("data"), vfs::Stability::file_sync)));
        STRATA_ASSERT(world.run(fs.set_xattr(ctx, file, "x", "y", vfs::FileSystem::XattrMode::either)));
        make("dir", vfs::FileType::directory);
        make("link", vfs::FileType::symlink);
        vfs::Share share;
        share.name = "share";
        share.root = fs.root();
        shares.replace({share});
        service = std::make_unique<Service>(Config{}, world.runtime(), Parts{&fs, &shares, &files, &records, &pool});
    }

    vfs::FileId make(std::string_view name, vfs::FileType type) {
        vfs::CreateRequest wanted;
        wanted.type = type;
        wanted.attributes.mode = 0755;
        wanted.symlink_target = type == vfs::FileType::symlink ? "file" : "";
        const auto created = world.run(fs.create(ctx, fs.root(), name, wanted));
        STRATA_ASSERT(created);
        return created->entry.id;
    }
};

bool may_run(const Compound& compound, const OpEntry& op) {
    if ((op.minors & (1u << compound.minor_version)) == 0 || (op.now == nullptr && op.run == nullptr)) return false;
    if (op.needs_saved_fh && compound.saved.is_none()) return false;
    const bool pseudo_root = compound.current.is_pseudo_root() || (op.needs_saved_fh && compound.saved.is_pseudo_root());
    return op.on_pseudo_root == NfsStatus::ok || !pseudo_root;
}

Task<> run_operations(Compound& compound, const Slice& input) {
    XdrWriter out(*compound.service.parts.buffers);
    compound.minor_version = static_cast<std::uint32_t>(input.data()[0]) % 3;
    for (std::size_t at = 1; at < input.size();) {
        const auto code = file_operations[static_cast<std::size_t>(input.data()[at]) % std::size(file_operations)];
        XdrReader in(input, at + 1);
        const auto* op = find_op(code);
        STRATA_ASSERT(op != nullptr);
        ++at;
        if (!may_run(compound, *op)) continue;
        out.rewind({});
        const auto status = op->now != nullptr ? op->now(compound, in, out) : co_await op->run(compound, in, out);
        STRATA_ASSERT(status != NfsStatus::ok || in.ok());
        STRATA_ASSERT(status != NfsStatus::ok || code != 26 || out.size() < reply_limit);  // READDIR
        STRATA_ASSERT(status != NfsStatus::ok || code != 25 || out.size() < reply_limit);  // READ
        if (!in.ok()) break;
        at = in.position();
    }
}

}  // namespace

}  // namespace strata::nfs

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace strata;
    using namespace strata::nfs;
    if (size == 0) return 0;
    Tree tree;
    Compound compound(*tree.service, tree.connection);
    compound.authenticated = Credentials::superuser();
    compound.begin(1, 1);
    compound.reply_limit = reply_limit;
    const auto* share = compound.shares->find("share");
    compound.set_current(*share, share->root);
    compound.saved = compound.current;
    const auto input = BufferChain::copy_of(std::as_bytes(std::span(data, size))).flatten();
    tree.world.run(run_operations(compound, input));
    return 0;
}
