// SPDX-License-Identifier: Apache-2.0
// OperationTest: one COMPOUND's state over a file system in memory, in which operations are called as functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/ops/op.h"
#include "nfs/service.h"
#include "nfs/wire/attributes.h"
#include "server/vfs/file_state.h"
#include "tests/sim/memory_file_system.h"
#include "tests/sim/world.h"

namespace strata::nfs {

// What an operation answered: the status it returned and what it wrote.
struct Answer {
    NfsStatus status = NfsStatus::serverfault;
    Slice bytes;

    XdrReader reader() const { return XdrReader(bytes); }
};

// Two shares over one volume, /data of uid 1000 and the read-only /docs; the current filehandle is /data, the caller uid 1000.
class OperationTest : public testing::Test {
protected:
    using Arguments = std::function<void(XdrWriter&)>;

    OperationTest();
    ~OperationTest() override;

    Answer run(RunHandler handler, const Arguments& arguments = nullptr);
    NfsStatus status(RunHandler handler, const Arguments& arguments = nullptr) { return run(handler, arguments).status; }
    // A whole COMPOUND of minor version 0 behind a PUTFH of the current filehandle: through the dispatcher and its table.
    // `arguments` writes the operations with their codes. Returns the COMPOUND4res.
    Slice run_compound_of(std::uint32_t operations, const Arguments& arguments);

    // Straight from the file system, as the superuser.
    vfs::FileId make(vfs::FileId dir, std::string_view name, vfs::FileType type = vfs::FileType::regular, std::uint32_t mode = 0644);
    void fill(vfs::FileId file, std::uint64_t offset, std::string_view bytes);
    std::string content(vfs::FileId file);
    vfs::Attributes attributes(vfs::FileId file);
    Result<vfs::Entry> find(vfs::FileId dir, std::string_view name);

    void at(vfs::FileId id) { compound.set_current(*data, id); }
    void save(vfs::FileId id) { compound.saved = FileRef{FileRef::Kind::file, data, id}; }
    void become(std::uint32_t uid) { compound.caller = compound.authenticated = {.uid = uid, .gid = uid, .groups = {}}; }

    sim::World world{1};
    sim::MemoryFileSystem fs{world.clock()};
    sim::MemoryRecordStore records;
    vfs::ShareTable shares;
    vfs::FileStateTable files;
    BufferPool pool{64 << 20};
    Credentials root = Credentials::superuser();
    Context as_root;
    vfs::FileId data_root, docs_root;
    std::unique_ptr<Service> service;
    ConnectionState connection;
    std::unique_ptr<Compound> request;
    const vfs::Share* data = nullptr;
    const vfs::Share* docs = nullptr;
    Compound& compound;

private:
    Compound& make_compound();
};

// A fattr4 to be set, as a client would write it: values in the order of their bits.
void write_fattr(XdrWriter& out, const AttributeMask& mask, const std::function<void(XdrWriter&)>& values);
inline void write_no_fattr(XdrWriter& out) {
    write_fattr(out, {}, [](XdrWriter&) {});
}
inline void write_mode(XdrWriter& out, std::uint32_t mode) {
    write_fattr(out, {Attribute::mode}, [=](XdrWriter& w) { w.u32(mode); });
}

}  // namespace strata::nfs
