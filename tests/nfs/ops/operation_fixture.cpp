// SPDX-License-Identifier: Apache-2.0
// OperationTest: the world that operations are called in.
#include "tests/nfs/ops/operation_fixture.h"

#include <stdexcept>
#include <utility>

namespace strata::nfs {

namespace {

Slice flattened(XdrWriter& out) {
    const auto reply = out.take();
    Slice whole = allocate_heap(reply.size() == 0 ? 1 : reply.size());
    std::size_t at = 0;
    reply.for_each_piece([&](Bytes piece) {
        std::memcpy(whole.writable().data() + at, piece.data(), piece.size());
        at += piece.size();
    });
    return whole.sub(0, at);
}

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(to_string(result.error()));
    return std::move(*result);
}

}  // namespace

OperationTest::OperationTest() : compound(make_compound()) {}
OperationTest::~OperationTest() = default;

Compound& OperationTest::make_compound() {
    as_root.clock = &world.clock();
    as_root.caller = &root;
    data_root = make(fs.root(), "data", vfs::FileType::directory, 0755);
    vfs::SetAttributes owner;
    owner.uid = owner.gid = 1000;
    must(world.run(fs.set_attributes(as_root, data_root, owner, false)));
    docs_root = make(fs.root(), "docs", vfs::FileType::directory, 0777);
    vfs::Share a, b;
    a.name = "data";
    a.root = data_root;
    b.name = "docs";
    b.root = docs_root;
    b.read_only = true;
    shares.replace({a, b});
    service = std::make_unique<Service>(Config{}, world.runtime(), Parts{&fs, &shares, &files, &records, &pool});
    request = std::make_unique<Compound>(*service, connection);
    request->authenticated = {.uid = 1000, .gid = 1000, .groups = {}};
    request->begin(1, 1);
    request->minor_version = 2;
    data = request->shares->find("data");
    docs = request->shares->find("docs");
    request->set_current(*data, data_root);
    return *request;
}

Answer OperationTest::run(RunHandler handler, const Arguments& arguments) {
    XdrWriter args(pool);
    if (arguments) arguments(args);
    const Slice bytes = flattened(args);
    XdrReader in(bytes);
    XdrWriter out(pool);
    compound.reply_base = 0;
    Answer answer;
    answer.status = world.run(handler(compound, in, out));
    answer.bytes = flattened(out);
    return answer;
}

Slice OperationTest::run_compound_of(std::uint32_t operations, const Arguments& arguments) {
    constexpr std::uint32_t putfh = 22;
    XdrWriter args(pool);
    args.text("");
    args.u32(0);
    args.u32(operations + 1);
    args.u32(putfh);
    args.opaque(compound.handle_of(compound.current));
    arguments(args);
    const Slice bytes = flattened(args);
    XdrReader in(bytes);
    XdrWriter out(pool);
    compound.begin(2, 1);
    world.run(run_compound(compound, in, out));
    return flattened(out);
}

vfs::FileId OperationTest::make(vfs::FileId dir, std::string_view name, vfs::FileType type, std::uint32_t mode) {
    vfs::CreateRequest wanted;
    wanted.type = type;
    wanted.attributes.mode = mode;
    if (type == vfs::FileType::symlink) wanted.symlink_target = "target";
    return must(world.run(fs.create(as_root, dir, name, wanted))).entry.id;
}

void OperationTest::fill(vfs::FileId file, std::uint64_t offset, std::string_view bytes) {
    must(world.run(fs.write(as_root, file, offset, BufferChain::copy_of(bytes), vfs::Stability::file_sync)));
}

std::string OperationTest::content(vfs::FileId file) {
    const auto all = must(world.run(fs.read(as_root, file, 0, 1 << 20))).data.flatten();
    return std::string(as_text(all.span()));
}

vfs::Attributes OperationTest::attributes(vfs::FileId file) { return must(world.run(fs.get_attributes(as_root, file))); }
Result<vfs::Entry> OperationTest::find(vfs::FileId dir, std::string_view name) { return world.run(fs.lookup(as_root, dir, name)); }

void write_fattr(XdrWriter& out, const AttributeMask& mask, const std::function<void(XdrWriter&)>& values) {
    write_mask(out, mask);
    const auto size_at = out.hole();
    const auto before = out.size();
    values(out);
    out.patch(size_at, static_cast<std::uint32_t>(out.size() - before));
}

}  // namespace strata::nfs
