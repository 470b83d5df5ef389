// SPDX-License-Identifier: Apache-2.0
// Paths, handles, faults and the power switch over the tree of SimContent.
#include "tests/sim/sim_disk.h"

#include <mutex>
#include <set>

#include "server/base/crc32c.h"
#include "tests/sim/sim_file_tree.h"

namespace strata::sim {

struct SimDisk::State {
    State(std::string n, std::uint64_t c, std::uint64_t seed, Hooks h)
        : name(std::move(n)), capacity(c), random(seed), hooks(std::move(h)) {}

    struct BadRange {
        std::string path;
        std::uint64_t offset;
        std::uint64_t length;
    };
    struct Place {
        NodePointer folder;  // that holds, or would hold, the entry
        std::string name;
        NodePointer node;  // null: absent
    };

    mutable std::mutex mutex;
    std::string name;
    std::uint64_t capacity;
    SimRandom random;
    Hooks hooks;
    DiskFaults faults;
    Duration latency_min{};
    Duration latency_max{};
    std::vector<BadRange> bad_ranges;
    NodePointer root = std::make_shared<SimNode>(true);
    std::vector<EntryChange> changes;
    std::uint64_t generation = 0;
    std::uint64_t used_pages = 0;
    std::uint64_t syncs = 0;

    // At the head of each call. `generation` is that of the handle.
    Result<> enter(std::string_view what, std::string_view path, std::uint64_t handle_generation, double error_probability,
                   std::uint64_t a = 0, std::uint64_t b = 0) {
        if (hooks.trace) hooks.trace(std::string(what) + " " + name + "/" + std::string(path), a, b);
        if (hooks.spend && latency_max > Duration()) {
            auto ns = random.between(static_cast<std::uint64_t>(latency_min.count()), static_cast<std::uint64_t>(latency_max.count()));
            hooks.spend(Duration(ns));
        }
        if (handle_generation != generation) return broken(what, path, "the power was cut");
        if (faults.failed) return broken(what, path, "the disk failed");
        if (error_probability > 0 && random.chance(error_probability)) return broken(what, path, "injected");
        return {};
    }
    std::unexpected<Error> broken(std::string_view what, std::string_view path, std::string_view why) const {
        return fail(Errc::io, std::string(what) + " " + name + "/" + std::string(path) + ": " + std::string(why));
    }
    bool is_bad(std::string_view path, std::uint64_t offset, std::uint64_t length) const {
        for (const auto& bad : bad_ranges) {
            if (bad.path == path && offset < bad.offset + bad.length && bad.offset < offset + length) return true;
        }
        return false;
    }

    std::unexpected<Error> fail_path(Errc code, std::string_view path) const { return fail(code, name + "/" + std::string(path)); }

    // Walks to the entry; its folder must exist.
    Result<Place> find(std::string_view path) const {
        if (path.empty() || path.front() == '/' || path == ".." || path.find("../") != std::string_view::npos) {
            return fail_path(Errc::invalid_argument, path);
        }
        Place place{.folder = nullptr, .name = {}, .node = root};
        while (!path.empty()) {
            auto slash = path.find('/');
            auto part = path.substr(0, slash);
            path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
            if (part.empty() || part == ".") continue;
            if (place.node == nullptr) return fail_path(Errc::not_found, part);
            if (!place.node->folder) return fail_path(Errc::not_directory, part);
            place.folder = place.node;
            place.name = part;
            auto it = place.folder->entries.find(part);
            place.node = it == place.folder->entries.end() ? nullptr : it->second;
        }
        return place;
    }
    Result<NodePointer> find_folder(std::string_view path) const {
        if (path.empty() || path == ".") return root;
        TRY(place, find(path));
        if (place.node == nullptr) return fail_path(Errc::not_found, path);
        if (!place.node->folder) return fail_path(Errc::not_directory, path);
        return place.node;
    }

    NodePointer link(const Place& place, bool folder) {
        auto node = std::make_shared<SimNode>(folder);
        place.folder->entries[place.name] = node;
        changes.push_back({.from_folder = nullptr, .from_name = {}, .to_folder = place.folder, .to_name = place.name, .node = node});
        return node;
    }
    void unlink(const Place& place) {
        used_pages -= place.node->content.pages();
        place.folder->entries.erase(place.name);
        changes.push_back({.from_folder = place.folder, .from_name = place.name, .to_folder = nullptr, .to_name = {}, .node = place.node});
    }

    // Makes what touches `folder` durable, and what it builds on: earlier changes of a node that was renamed.
    void sync_entries(const NodePointer& folder) {
        std::set<SimNode*> moved;
        std::vector<bool> chosen(changes.size());
        for (std::size_t i = changes.size(); i-- > 0;) {
            chosen[i] = changes[i].touches(folder) || moved.contains(changes[i].node.get());
            if (chosen[i]) moved.insert(changes[i].node.get());
        }
        std::vector<EntryChange> rest;
        for (std::size_t i = 0; i < changes.size(); ++i) {
            if (chosen[i])
                changes[i].apply(false);
            else
                rest.push_back(std::move(changes[i]));
        }
        changes = std::move(rest);
    }

    void settle(SimNode& node) {
        if (!node.folder) {
            node.content.power_cut(random);
            used_pages += node.content.pages();
            return;
        }
        node.entries = node.durable;
        for (auto& [entry, child] : node.entries) settle(*child);
    }

    // Calls `visit(path, node)` for each file.
    template <class F>
    static void each_file(const SimNode& folder, const std::string& prefix, F&& visit) {
        for (const auto& [entry, child] : folder.entries) {
            if (child->folder)
                each_file(*child, prefix + entry + "/", visit);
            else
                visit(prefix + entry, *child);
        }
    }
};

namespace {

using State = SimDisk::State;
using StatePointer = std::shared_ptr<State>;

class SimFile final : public File {
public:
    SimFile(StatePointer state, NodePointer node, std::string path, bool writes)
        : state_(std::move(state)), node_(std::move(node)), path_(std::move(path)), writes_(writes), generation_(state_->generation) {}

    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(state_->enter("read", path_, generation_, state_->faults.read_error, offset, out.size()));
        if (state_->is_bad(path_, offset, out.size())) return state_->broken("read", path_, "bad range");
        return node_->content.read(offset, out);
    }

    using File::write_at;
    Result<> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> pieces) override {
        std::lock_guard lock(state_->mutex);
        std::uint64_t total = 0;
        std::uint32_t sum = 0;
        for (auto piece : pieces) {
            total += piece.size();
            sum = crc32c(piece, sum);
        }
        auto allowed = change("write", state_->faults.write_error, offset, sum);
        if (!allowed && state_->generation == generation_ && !state_->faults.failed && writes_ && total > 0) {
            total = state_->random.below(total);  // an error in the middle
            if (reserve_pages(offset, total)) put(offset, pieces, total);
        }
        if (!allowed) return allowed;
        if (state_->is_bad(path_, offset, total)) return state_->broken("write", path_, "bad range");
        CHECK_OK(reserve_pages(offset, total));
        put(offset, pieces, total);
        return {};
    }

    Result<> sync() override {
        std::lock_guard lock(state_->mutex);
        auto allowed = state_->enter("sync", path_, generation_, state_->faults.sync_error);
        if (!allowed) {
            if (state_->generation == generation_) node_->content.sync_failed(state_->random);
            return allowed;
        }
        node_->content.sync();
        ++state_->syncs;
        return {};
    }

    Result<std::uint64_t> size() override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(state_->enter("size", path_, generation_, 0));
        return node_->content.size();
    }

    Result<> truncate(std::uint64_t size) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(change("truncate", state_->faults.write_error, size, 0));
        changing_pages([&] { node_->content.truncate(size); });
        return {};
    }

    Result<> allocate(std::uint64_t offset, std::uint64_t length) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(change("allocate", state_->faults.write_error, offset, length));
        CHECK_OK(reserve_pages(offset, length));
        changing_pages([&] { node_->content.reserve(offset, length); });
        return {};
    }

    Result<> punch(std::uint64_t offset, std::uint64_t length) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(change("punch", state_->faults.write_error, offset, length));
        changing_pages([&] { node_->content.punch(offset, length); });
        return {};
    }

private:
    Result<> change(std::string_view what, double probability, std::uint64_t a, std::uint64_t b) {
        CHECK_OK(state_->enter(what, path_, generation_, probability, a, b));
        if (!writes_) return state_->broken(what, path_, "opened for reading");
        return {};
    }
    bool linked() const {
        auto place = state_->find(path_);
        return place && place->node == node_;
    }
    template <class F>
    void changing_pages(F&& f) {
        auto before = node_->content.pages();
        f();
        if (linked()) state_->used_pages += node_->content.pages() - before;
    }
    Result<> reserve_pages(std::uint64_t offset, std::uint64_t length) {
        auto missing = node_->content.pages_missing(offset, length);
        if (missing > 0 && (state_->used_pages + missing) * page_bytes > state_->capacity) {
            return fail(Errc::no_space, state_->name + "/" + path_ + ": the simulated disk is full");
        }
        return {};
    }
    void put(std::uint64_t offset, std::span<const std::span<const std::byte>> pieces, std::uint64_t total) {
        changing_pages([&] {
            for (auto piece : pieces) {
                auto n = std::min<std::uint64_t>(total, piece.size());
                node_->content.write(offset, piece.first(n));
                offset += n;
                total -= n;
            }
        });
    }

    StatePointer state_;
    NodePointer node_;
    std::string path_;
    bool writes_;
    std::uint64_t generation_;
};

// The calls of Disk, for a handle of some generation.
class Mount final : public Disk {
public:
    Mount(StatePointer state, std::uint64_t generation) : state_(std::move(state)), generation_(generation) {}

    Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(enter("open", path, static_cast<std::uint64_t>(mode)));
        TRY(place, state_->find(path));
        bool may_make = mode == OpenMode::create || mode == OpenMode::create_new;
        if (place.node == nullptr && !may_make) return state_->fail_path(Errc::not_found, path);
        if (place.node != nullptr && mode == OpenMode::create_new) return state_->fail_path(Errc::exists, path);
        if (place.node != nullptr && place.node->folder) return state_->fail_path(Errc::is_directory, path);
        if (place.node == nullptr) place.node = state_->link(place, false);
        return std::make_unique<SimFile>(state_, place.node, std::string(path), mode != OpenMode::read);
    }
    Result<bool> exists(std::string_view path) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(enter("exists", path));
        auto place = state_->find(path);
        if (!place && place.error().code == Errc::invalid_argument) return fail(place.error());
        return place && place->node != nullptr;
    }
    Result<> remove(std::string_view path) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(enter("remove", path));
        TRY(place, state_->find(path));
        if (place.node == nullptr) return state_->fail_path(Errc::not_found, path);
        if (place.node->folder) return state_->fail_path(Errc::is_directory, path);
        state_->unlink(place);
        return {};
    }
    Result<> rename(std::string_view from, std::string_view to) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(enter("rename", std::string(from) + " " + std::string(to)));
        TRY(source, state_->find(from));
        TRY(target, state_->find(to));
        if (source.node == nullptr) return state_->fail_path(Errc::not_found, from);
        if (source.node == target.node) return {};
        if (target.node != nullptr) {
            if (target.node->folder != source.node->folder) {
                return state_->fail_path(target.node->folder ? Errc::is_directory : Errc::not_directory, to);
            }
            if (!target.node->entries.empty()) return state_->fail_path(Errc::not_empty, to);
            state_->used_pages -= target.node->content.pages();
        }
        source.folder->entries.erase(source.name);
        target.folder->entries[target.name] = source.node;
        state_->changes.push_back({.from_folder = source.folder,
                                   .from_name = source.name,
                                   .to_folder = target.folder,
                                   .to_name = target.name,
                                   .node = source.node});
        return {};
    }
    Result<> make_folder(std::string_view path) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(enter("make_folder", path));
        for (std::size_t end = 0; end != std::string_view::npos;) {
            end = path.find('/', end + 1);
            TRY(place, state_->find(path.substr(0, end)));
            if (place.node == nullptr)
                state_->link(place, true);
            else if (!place.node->folder)
                return state_->fail_path(Errc::not_directory, path);
        }
        return {};
    }
    Result<> remove_folder(std::string_view path) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(enter("remove_folder", path));
        TRY(place, state_->find(path));
        if (place.node == nullptr) return state_->fail_path(Errc::not_found, path);
        if (!place.node->folder) return state_->fail_path(Errc::not_directory, path);
        if (!place.node->entries.empty()) return state_->fail_path(Errc::not_empty, path);
        if (place.folder == nullptr) return state_->fail_path(Errc::busy, path);
        state_->unlink(place);
        return {};
    }
    Result<std::vector<std::string>> list(std::string_view folder) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(enter("list", folder));
        TRY(node, state_->find_folder(folder));
        std::vector<std::string> names;
        for (const auto& [name, child] : node->entries) names.push_back(name);
        return names;
    }
    Result<> sync_folder(std::string_view folder) override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(state_->enter("sync_folder", folder, generation(), state_->faults.sync_error));
        TRY(node, state_->find_folder(folder));
        state_->sync_entries(node);
        return {};
    }
    Result<DiskSpace> space() override {
        std::lock_guard lock(state_->mutex);
        CHECK_OK(enter("space", ""));
        auto used = state_->used_pages * page_bytes;
        return DiskSpace{.total_bytes = state_->capacity, .free_bytes = used < state_->capacity ? state_->capacity - used : 0};
    }
    std::string description() const override { return state_->name; }

private:
    // SimDisk's own handle is always of the present.
    std::uint64_t generation() const { return generation_ == UINT64_MAX ? state_->generation : generation_; }
    Result<> enter(std::string_view what, std::string_view path, std::uint64_t a = 0) {
        return state_->enter(what, path, generation(), 0, a);
    }

    StatePointer state_;
    std::uint64_t generation_;
};

Mount present(const StatePointer& state) { return Mount(state, UINT64_MAX); }

}  // namespace

SimDisk::SimDisk(std::string name, std::uint64_t capacity_bytes, std::uint64_t seed, Hooks hooks)
    : state_(std::make_shared<State>(std::move(name), capacity_bytes, seed, std::move(hooks))) {}
SimDisk::~SimDisk() = default;

std::unique_ptr<Disk> SimDisk::mount() {
    std::lock_guard lock(state_->mutex);
    return std::make_unique<Mount>(state_, state_->generation);
}

void SimDisk::power_cut() {
    std::lock_guard lock(state_->mutex);
    auto& s = *state_;
    if (s.hooks.trace) s.hooks.trace("power_cut " + s.name, s.generation, 0);
    auto survivor = s.random.below(4);  // none, all, or one by one
    for (const auto& change : s.changes) {
        if (survivor == 0 || (survivor > 1 && s.random.chance(0.5))) continue;
        change.apply(true);
    }
    s.changes.clear();
    ++s.generation;
    s.used_pages = 0;
    s.settle(*s.root);
}

void SimDisk::set_faults(const DiskFaults& faults) {
    std::lock_guard lock(state_->mutex);
    state_->faults = faults;
}

void SimDisk::set_latency(Duration low, Duration high) {
    std::lock_guard lock(state_->mutex);
    state_->latency_min = low;
    state_->latency_max = high;
}

void SimDisk::set_bad_range(std::string_view path, std::uint64_t offset, std::uint64_t length) {
    std::lock_guard lock(state_->mutex);
    state_->bad_ranges.push_back({std::string(path), offset, length});
}

void SimDisk::clear_bad_ranges() {
    std::lock_guard lock(state_->mutex);
    state_->bad_ranges.clear();
}

void SimDisk::set_capacity(std::uint64_t bytes) {
    std::lock_guard lock(state_->mutex);
    state_->capacity = bytes;
}

int SimDisk::flip_bits(std::string_view path_prefix, int count) {
    std::lock_guard lock(state_->mutex);
    struct Candidate {
        SimContent* content;
        std::uint64_t page;
    };
    std::vector<Candidate> candidates;
    State::each_file(*state_->root, "", [&](const std::string& path, SimNode& node) {
        if (!path.starts_with(path_prefix)) return;
        for (auto page : node.content.written_durable_pages()) candidates.push_back({&node.content, page});
    });
    if (candidates.empty()) return 0;
    for (int i = 0; i < count; ++i) {
        auto& chosen = candidates[state_->random.below(candidates.size())];
        chosen.content->flip_durable_bit(chosen.page, state_->random);
    }
    return count;
}

std::uint64_t SimDisk::used_bytes() const {
    std::lock_guard lock(state_->mutex);
    return state_->used_pages * page_bytes;
}

std::uint64_t SimDisk::sync_count() const {
    std::lock_guard lock(state_->mutex);
    return state_->syncs;
}

Result<std::unique_ptr<File>> SimDisk::open(std::string_view path, OpenMode mode) { return present(state_).open(path, mode); }
Result<bool> SimDisk::exists(std::string_view path) { return present(state_).exists(path); }
Result<> SimDisk::remove(std::string_view path) { return present(state_).remove(path); }
Result<> SimDisk::rename(std::string_view from, std::string_view to) { return present(state_).rename(from, to); }
Result<> SimDisk::make_folder(std::string_view path) { return present(state_).make_folder(path); }
Result<> SimDisk::remove_folder(std::string_view path) { return present(state_).remove_folder(path); }
Result<std::vector<std::string>> SimDisk::list(std::string_view folder) { return present(state_).list(folder); }
Result<> SimDisk::sync_folder(std::string_view folder) { return present(state_).sync_folder(folder); }
Result<DiskSpace> SimDisk::space() { return present(state_).space(); }
std::string SimDisk::description() const { return state_->name; }

}  // namespace strata::sim
