// SPDX-License-Identifier: Apache-2.0
// Tracing from the root: every entry has its inode and every inode its entries; every extent has its chunk, every chunk its extents and
// every shard its bytes. What nobody names is counted.
#include "server/check.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cluster/meta/replica_check.h"
#include "server/base/system_runtime.h"
#include "server/control_socket.h"

namespace strata {

namespace {

using namespace cluster;

constexpr std::size_t page_rows = 2048;
constexpr std::size_t problems_max = 1000;

class Tracer {
public:
    Tracer(const Context& ctx, Storage& storage) : ctx_(ctx), storage_(storage) {}

    Task<CheckReport> run() {
        co_await trace_tree();
        co_await trace_orphans();
        co_await trace_reaps();
        co_await trace_chunks();
        co_await trace_shards();
        co_return std::move(report_);
    }

private:
    void problem(std::string text) {
        if (report_.problems.size() < problems_max) report_.problems.push_back(std::move(text));
    }
    template <class T>
    bool read(const Result<T>& result, std::string_view what) {
        if (!result) problem(fmt::format("{}: {}", what, to_string(result.error())));
        return result.has_value();
    }

    // Breadth first. Names point at inodes that exist, with the generation and type they say; link counts are what names make.
    Task<> trace_tree() {
        auto root = co_await storage_.meta().inode(ctx_, root_inode);
        if (!read(root, "root")) co_return;
        if (!*root) {
            problem("the root directory is not there");
            co_return;
        }
        std::vector<InodeRow> folders{std::move(**root)};
        ++report_.inodes;
        seen_.insert(root_inode);
        while (!folders.empty()) {
            InodeRow folder = std::move(folders.back());
            folders.pop_back();
            co_await trace_folder(folder, folders);
        }
        for (const auto& [number, file] : files_) {
            if (file.links != file.names) {
                problem(fmt::format("inode {}: link count {}, but {} names lead to it", number, file.links, file.names));
            }
        }
    }

    Task<> trace_folder(const InodeRow& folder, std::vector<InodeRow>& folders) {
        std::uint32_t subfolders = 0;
        std::uint64_t last_cookie = 0;
        for (std::uint64_t after = 0;;) {
            auto entries = co_await storage_.meta().entries(ctx_, folder.number, after, page_rows);
            if (!read(entries, fmt::format("directory {}", folder.number))) co_return;
            std::vector<InodeNumber> numbers;
            for (const auto& e : *entries) numbers.push_back(e.child);
            auto rows = co_await storage_.meta().inodes(ctx_, numbers);
            if (!read(rows, fmt::format("inodes of directory {}", folder.number))) co_return;
            std::unordered_map<InodeNumber, InodeRow*> by_number;
            for (auto& row : *rows) by_number[row.number] = &row;
            for (const auto& e : *entries) {
                ++report_.entries;
                last_cookie = e.cookie;
                const auto it = by_number.find(e.child);
                if (it == by_number.end()) {
                    problem(fmt::format("directory {}: \"{}\" names inode {}, which is not there", folder.number, e.name, e.child));
                    continue;
                }
                if (e.child_type == vfs::FileType::directory) ++subfolders;
                co_await trace_child(folder, e, *it->second, folders);
            }
            if (entries->size() < page_rows) break;
            after = entries->back().cookie;
        }
        if (folder.link_count != subfolders + 2) {
            problem(fmt::format("directory {}: link count {}, but {} directories inside", folder.number, folder.link_count, subfolders));
        }
        if (last_cookie >= folder.next_cookie)
            problem(fmt::format("directory {}: cookie {} would be given again", folder.number, last_cookie));
    }

    Task<> trace_child(const InodeRow& folder, const EntryRow& entry, InodeRow& row, std::vector<InodeRow>& folders) {
        if (row.generation != entry.child_generation || row.type != entry.child_type) {
            problem(fmt::format("directory {}: \"{}\" and inode {} disagree on generation or type", folder.number, entry.name, row.number));
        }
        const bool first = seen_.insert(row.number).second;
        if (first) ++report_.inodes;
        if (row.type == vfs::FileType::directory) {
            if (!first) problem(fmt::format("directory {} has two names", row.number));
            if (row.parent != folder.number)
                problem(fmt::format("directory {}: parent {} but named in {}", row.number, row.parent, folder.number));
            if (first) folders.push_back(std::move(row));
            co_return;
        }
        ++files_[row.number].names;
        files_[row.number].links = row.link_count;
        if (first && row.type == vfs::FileType::regular) co_await trace_extents(row.map, fmt::format("inode {}", row.number));
    }

    // Extents lie apart, and inside their chunks.
    Task<> trace_extents(MapId map, std::string what) {
        std::uint64_t end = 0;
        bool first = true;
        for (;;) {
            auto page = co_await storage_.meta().extents(ctx_, map, end, UINT64_MAX, page_rows);
            if (!read(page, what)) co_return;
            std::map<ChunkId, const ChunkRow*> rows;
            for (const auto& row : page->chunks) rows[row.chunk.id] = &row;
            for (const auto& e : page->extents) {
                ++report_.extents;
                if (e.offset < end && !first) problem(fmt::format("{}: extents overlap at {}", what, e.offset));
                first = false;
                end = e.offset + e.length;
                if (e.length == 0) problem(fmt::format("{}: an empty extent at {}", what, e.offset));
                if (e.chunk == ChunkId{}) continue;
                ++references_[e.chunk];
                const auto it = rows.find(e.chunk);
                if (it == rows.end()) {
                    problem(fmt::format("{}: the extent at {} names a chunk that is not there", what, e.offset));
                } else if (e.chunk_offset + e.length > it->second->chunk.length) {
                    problem(fmt::format("{}: the extent at {} ends past its chunk", what, e.offset));
                }
            }
            if (page->extents.size() < page_rows) break;
        }
    }

    Task<> trace_orphans() {
        auto records = co_await storage_.meta().records(ctx_, "orphan");
        if (!read(records, "orphans")) co_return;
        for (const auto& record : *records) {
            const InodeNumber number = std::stoull(record.key, nullptr, 16);
            auto row = co_await storage_.meta().inode(ctx_, number);
            if (!read(row, "orphan") || !*row) continue;
            if (!seen_.insert(number).second) continue;
            ++report_.inodes;
            if ((*row)->type == vfs::FileType::regular) co_await trace_extents((*row)->map, fmt::format("orphan {}", number));
        }
        const auto stored = storage_.meta().volume().inode_count;
        if (stored != report_.inodes) problem(fmt::format("{} inodes are stored, but names lead to {}", stored, report_.inodes));
    }

    Task<> trace_reaps() {
        auto reaps = co_await storage_.meta().reaps(ctx_, SIZE_MAX / 2);
        if (!read(reaps, "reap list")) co_return;
        for (const auto& reap : *reaps) {
            if (reap.from == 0) co_await trace_extents(reap.map, fmt::format("reaped map {}", reap.map));
        }
    }

    Task<> trace_chunks() {
        for (ChunkId after{};;) {
            auto rows = co_await storage_.meta().chunks(ctx_, after, page_rows);
            if (!read(rows, "chunks")) co_return;
            for (const auto& row : *rows) {
                ++report_.chunks;
                const auto it = references_.find(row.chunk.id);
                const std::uint32_t counted = it == references_.end() ? 0 : it->second;
                if (counted != row.references) {
                    problem(fmt::format("chunk {:x}.{:x}: {} references are stored, {} extents name it", row.chunk.id.epoch,
                                        row.chunk.id.counter, row.references, counted));
                }
                co_await verify(row.chunk);
            }
            if (rows->size() < page_rows) break;
            after = rows->back().chunk.id;
        }
    }

    Task<> verify(const Chunk& chunk) {
        known_.insert(chunk.id);
        auto bad = co_await storage_.stripes().scrub(ctx_, chunk);
        if (!read(bad, "scrub")) co_return;
        report_.shards += chunk.places.size();
        for (int shard : *bad) {
            problem(fmt::format("chunk {:x}.{:x}: shard {} is missing or damaged", chunk.id.epoch, chunk.id.counter, shard));
        }
    }

    // Shards that no chunk record names are not a fault (a crash leaves them, the collector removes them): they are counted.
    Task<> trace_shards() {
        for (const auto& member : storage_.stores().members()) {
            if (member.store == nullptr) {
                problem(fmt::format("store {}: not there", member.folder));
                continue;
            }
            for (ShardKey after{};;) {
                auto page = co_await member.store->list(ctx_, after, page_rows);
                if (!read(page, member.folder)) break;
                for (const auto& shard : *page) report_.orphan_shards += known_.contains(shard.key.chunk) ? 0 : 1;
                if (page->size() < page_rows) break;
                after = page->back().key;
            }
        }
    }

    struct FileLinks {
        std::uint32_t links = 0, names = 0;
    };
    const Context& ctx_;
    Storage& storage_;
    CheckReport report_;
    std::unordered_set<InodeNumber> seen_;
    std::unordered_map<InodeNumber, FileLinks> files_;
    std::map<ChunkId, std::uint32_t> references_;
    std::set<ChunkId> known_;
};

Task<Result<CheckReport>> open_and_check(const Context& ctx, const Runtime& runtime, StorageConfig config) {
    CO_TRY(storage, co_await Storage::open(ctx, runtime, &open_exclusive_disk, std::move(config)));
    CheckReport report = co_await check_storage(ctx, *storage);
    auto places = storage->metadata_places();
    CO_CHECK_OK(co_await storage->close(ctx));
    storage.reset();
    auto pool = runtime.make_pool("check", 1);
    co_await pool->run([&] { compare_replicas(places, *runtime.random, report); });
    co_return report;
}

}  // namespace

Task<CheckReport> check_storage(const Context& ctx, Storage& storage) {
    Tracer tracer(ctx, storage);
    co_return co_await tracer.run();
}

void compare_replicas(const std::vector<cluster::StoreDisk>& places, Random& random, CheckReport& report) {
    const auto replicas = check_replicas(places, random);
    if (!replicas) {
        report.problems.push_back("metadata replicas: " + to_string(replicas.error()));
        return;
    }
    for (const auto& replica : *replicas) {
        ++report.replicas;
        for (const auto& fault : replica.faults) report.problems.push_back(fmt::format("metadata on {}: {}", replica.description, fault));
    }
}

int check(const Config& config) {
    const auto complain = [](std::string_view text) {
        fmt::print(stderr, "stratad check: {}\n", text);
        return 1;
    };
    if (ask_control_socket(config.data + "/control.sock", {{"command", "status"}}, 5s))
        return complain("a stratad serves these data: stop it first");
    if (::access((config.data + "/" + NodeFile::path).c_str(), R_OK) != 0) {
        return complain(fmt::format("{}: no data folder of stratad", config.data));
    }
    StreamLogSink sink(STDERR_FILENO, ::isatty(STDERR_FILENO) == 0);
    SystemRuntime system(1, sink);
    const Credentials superuser = Credentials::superuser();
    Log log(sink, "check", config.log_level);
    Context ctx;
    ctx.clock = system.runtime().clock;
    ctx.log = &log;
    ctx.caller = &superuser;
    StorageConfig storage;
    storage.data = config.data;
    storage.stores = config.stores;
    storage.segments.segment_bytes = config.segment_mib << 20;
    storage.background = false;
    auto report =
        boost::asio::co_spawn(system.io().executor(0), open_and_check(ctx, system.runtime(), std::move(storage)), boost::asio::use_future)
            .get();
    if (!report) return complain(to_string(report.error()));
    for (const auto& problem : report->problems) fmt::print("{}\n", problem);
    fmt::print(
        "checked {} inodes, {} names, {} extents, {} chunks, {} shards, {} metadata replicas; {} shards belong to no chunk; {} problems\n",
        report->inodes, report->entries, report->extents, report->chunks, report->shards, report->replicas, report->orphan_shards,
        report->problems.size());
    return report->problems.empty() ? 0 : 1;
}

}  // namespace strata
