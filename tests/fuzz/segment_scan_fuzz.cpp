// SPDX-License-Identifier: Apache-2.0
// Fuzz: the input is a script that builds a segment and damages it; whatever the scanner then says is inside the file, stays the same
// when the tail is cut off, and never makes a read return bytes that were not put. The rest of the input goes to the other decoders.
#include "cluster/chunk/segment_scan.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>

#include "cluster/chunk/segment_checkpoint.h"
#include "cluster/chunk/segment_read.h"
#include "cluster/chunk/store_identity.h"
#include "server/base/assert.h"
#include "tests/cluster/chunk/memory_file.h"

namespace strata::cluster {
namespace {

constexpr Uuid store{1, 2, 3};
constexpr std::uint32_t segment = 5;
constexpr std::size_t file_max = 2 << 20;

class Input {
public:
    explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
    bool empty() const { return bytes_.empty(); }
    std::uint32_t next(std::uint32_t bound) {
        std::uint32_t value = 0;
        for (int i = 0; i < 4 && !bytes_.empty(); ++i) {
            value = value << 8 | bytes_[0];
            bytes_ = bytes_.subspan(1);
        }
        return value % bound;
    }
    std::uint8_t byte() {
        const auto value = bytes_.empty() ? std::uint8_t{0} : bytes_[0];
        if (!bytes_.empty()) bytes_ = bytes_.subspan(1);
        return value;
    }

private:
    std::span<const std::uint8_t> bytes_;
};

struct Built {
    MemoryFile file;
    std::map<std::uint32_t, std::string> by_block;  // what was put
};

std::uint32_t next_block(const Built& built) { return static_cast<std::uint32_t>(built.file.bytes.size() / record_block); }

void append(Built& built, RecordKind kind, const BufferChain& data, std::uint8_t shard, std::uint32_t synced_before) {
    const auto sums = ShardChecksums::of(data);
    const std::uint32_t block = next_block(built);
    const auto length = static_cast<std::uint32_t>(data.size());
    const RecordHeader header{kind, {{1, 1, block}, shard}, length, segment, block, sums.digest, std::min(synced_before, block), store};
    auto head = encode_head(header, sums.blocks);
    const std::size_t at = head.size();
    head.resize(std::size_t{record_blocks(length)} * record_block);
    data.copy_to(std::span(head).subspan(at, length));
    built.file.bytes.insert(built.file.bytes.end(), head.begin(), head.end());
    std::string text(length, '\0');
    data.copy_to(std::as_writable_bytes(std::span(text)));
    if (kind == RecordKind::shard) built.by_block[block] = std::move(text);
}

void step(Built& built, Input& in) {
    auto& bytes = built.file.bytes;
    switch (in.byte() % 6) {
        case 0:
        case 1: {
            std::string text(1 + in.next(20'000), static_cast<char>(in.byte()));
            append(built, RecordKind::shard, BufferChain::copy_of(text), in.byte(), in.next(1024));
            break;
        }
        case 2: {
            const std::vector<Removal> removals(1 + in.next(300), Removal{{{1, 1, in.byte()}, 0}, in.byte()});
            append(built, RecordKind::removals, BufferChain::copy_of(encode_removals(removals)), 0, in.next(1024));
            break;
        }
        case 3:
            if (!bytes.empty()) bytes[in.next(static_cast<std::uint32_t>(bytes.size()))] ^= static_cast<std::byte>(in.byte());
            break;
        case 4: bytes.resize(bytes.size() + record_block * in.next(8)); break;
        default: {  // one block's bytes over another's
            const std::uint32_t blocks = next_block(built);
            if (blocks < 2) break;
            const std::size_t from = in.next(blocks), to = in.next(blocks);
            std::memmove(bytes.data() + to * record_block, bytes.data() + from * record_block, record_block);
        }
    }
}

void check(Built& built) {
    const auto contents = scan_segment(built.file, store, segment);
    if (!contents) return;
    STRATA_ASSERT(std::uint64_t{contents->used_blocks} * record_block <= built.file.bytes.size());
    for (const auto& e : contents->entries) {
        if (e.kind != RecordKind::shard) continue;
        STRATA_ASSERT(e.place + record_blocks(e.length) <= contents->used_blocks);
        const auto read = read_shard(built.file, {store, e.key, {segment, e.place, e.length, e.digest}}, 0, e.length, e.digest);
        if (!read) continue;
        std::string text(e.length, '\0');
        read->copy_to(std::as_writable_bytes(std::span(text)));
        STRATA_ASSERT(built.by_block.contains(e.place) && built.by_block[e.place] == text);
    }
    const auto checkpoint = decode_checkpoint(encode_checkpoint(*contents, store, segment), store, segment);
    STRATA_ASSERT(checkpoint && checkpoint->entries == contents->entries && checkpoint->used_blocks == contents->used_blocks);
    built.file.bytes.resize(std::size_t{contents->used_blocks} * record_block);
    const auto again = scan_segment(built.file, store, segment);
    STRATA_ASSERT(again && again->entries == contents->entries);
}

}  // namespace
}  // namespace strata::cluster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace strata::cluster;
    const std::span<const std::uint8_t> all(data, size);
    const auto raw = std::as_bytes(all);
    (void)decode_checkpoint(raw, store, segment);
    (void)decode_removals(raw);
    (void)decode_head(raw, {store, segment, 0});
    if (const auto identity = decode_identity({reinterpret_cast<const char*>(data), size})) {
        STRATA_ASSERT(encode(*identity).size() == size);
    }
    Input in(all);
    Built built;
    while (!in.empty() && built.file.bytes.size() < file_max) step(built, in);
    check(built);
    return 0;
}
