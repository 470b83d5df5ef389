// SPDX-License-Identifier: Apache-2.0
// RENAME: POSIX rules; up to four inodes change in one command.
//
// A directory that moves to another parent must not end inside itself. Such renames take the volume's tree mutex; parents change under
// it alone, so the walk from the target up to the root, made beforehand because it may have to load, is checked again under it.
#include <algorithm>

#include "cluster/fs/cluster_file_system.h"
#include "server/vfs/acl.h"

namespace strata::cluster {

namespace {

// The mutexes of several nodes, in order of number, each once.
class NodeLocks {
public:
    explicit NodeLocks(std::vector<Node*> nodes) {
        std::ranges::sort(nodes, {}, [](const Node* n) { return n->number; });
        nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
        for (Node* node : nodes) locks_.emplace_back(node->mutex);
    }

private:
    boost::container::small_vector<std::unique_lock<std::mutex>, 4> locks_;
};

bool chain_unchanged(const std::vector<NodePtr>& chain) {
    for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
        std::lock_guard lock(chain[i]->mutex);
        if (chain[i]->row.parent != chain[i + 1]->number) return false;
    }
    return true;
}

// The nodes of one rename; all mutexes held.
struct Move {
    Node& from;
    Node& to;
    Node& node;
    Node* target;  // null: the new name is free
    bool is_dir;
};

Result<> permitted(const Move& move, const Credentials& who) {
    if (move.from.row.domain != move.to.row.domain || move.node.row.domain != move.from.row.domain) return fail(Errc::cross_domain);
    const auto add = move.is_dir ? vfs::access::add_subdirectory : vfs::access::add_file;
    if (!vfs::may_remove(move.from.attributes(), move.node.attributes(), who)) return fail(Errc::access);
    if (!vfs::evaluate(move.to.attributes(), who, add)) return fail(Errc::access);
    // A directory whose ".." changes is itself changed.
    const bool new_parent = move.is_dir && move.from.number != move.to.number;
    if (new_parent && !vfs::evaluate(move.node.attributes(), who, vfs::access::add_subdirectory)) return fail(Errc::access);
    if (move.target != nullptr && !vfs::may_remove(move.to.attributes(), move.target->attributes(), who)) return fail(Errc::access);
    return {};
}

// The name of move.target goes to another object.
void replace(Volume& volume, const Move& move, Command& command) {
    if (move.is_dir) {
        move.target->row.link_count = 0;
        --move.to.row.link_count;
    } else {
        --move.target->row.link_count;
    }
    volume.touch(*move.target);
    volume.drop_if_unreferenced(*move.target, command);
}

void change_parents(Volume& volume, const Move& move) {
    const bool new_parent = move.from.number != move.to.number;
    if (move.is_dir && new_parent) {
        --move.from.row.link_count;
        ++move.to.row.link_count;
        move.node.row.parent = move.to.number;
    }
    volume.touch_directory(move.from);
    if (new_parent) volume.touch_directory(move.to);
    volume.touch(move.node);
}

}  // namespace

// `dir` and all directories above it, the root last.
Task<Result<std::vector<NodePtr>>> ClusterFileSystem::ancestors(const Context& ctx, NodePtr dir) {
    std::vector<NodePtr> chain{dir};
    for (;;) {
        InodeNumber parent = 0;
        {
            std::lock_guard lock(chain.back()->mutex);
            parent = chain.back()->row.parent;
        }
        if (parent == 0) co_return chain;
        CO_TRY(node, co_await volume_.node_of(ctx, parent));
        chain.push_back(node);
    }
}

Task<Result<vfs::Renamed>> ClusterFileSystem::rename(const Context& ctx, vfs::FileId from_id, std::string_view name, vfs::FileId to_id,
                                                     std::string_view new_name) {
    CO_CHECK_OK(check_name(name));
    CO_CHECK_OK(check_name(new_name));
    CO_TRY(from, co_await directory(ctx, from_id));
    CO_TRY(to, co_await directory(ctx, to_id));
    CO_CHECK_OK(co_await volume_.meta().admit(ctx));
    for (;;) {
        for (const auto& dir : {from, to}) {
            std::lock_guard lock(dir->mutex);
            if (!vfs::evaluate(dir->attributes(), *ctx.caller, vfs::access::traverse)) co_return fail(Errc::access);
        }
        CO_TRY(source, co_await resolve(ctx, from, name));
        if (source.node == nullptr) co_return fail(Errc::not_found);
        CO_TRY(target, co_await resolve(ctx, to, new_name));
        const NodePtr& node = source.node;
        const bool is_dir = node->type == vfs::FileType::directory;
        if (target.node != nullptr && target.node != node) {
            const bool target_is_dir = target.node->type == vfs::FileType::directory;
            if (is_dir && !target_is_dir) co_return fail(Errc::exists);
            if (!is_dir && target_is_dir) co_return fail(Errc::exists);
            if (target_is_dir) CO_CHECK_OK(co_await load_any(ctx, target.node));
        }
        std::unique_lock<std::mutex> tree;
        if (is_dir && from != to) {
            CO_TRY(chain, co_await ancestors(ctx, to));
            tree = std::unique_lock(volume_.tree_mutex);
            if (!chain_unchanged(chain)) continue;
            if (std::ranges::find(chain, node) != chain.end()) co_return fail(Errc::invalid_argument);
        }
        std::vector<Node*> involved{from.get(), to.get(), node.get()};
        if (target.node) involved.push_back(target.node.get());
        NodeLocks locks(std::move(involved));
        if (from->removed || to->removed) co_return fail(Errc::stale);
        if (!still(*from, name, source.entry) || !still(*to, new_name, target.entry)) continue;
        const Move move{*from, *to, *node, target.node.get(), is_dir};
        vfs::Renamed renamed;
        renamed.moved = {node->number, node->generation};
        renamed.source.before = renamed.source.after = from->row.change;
        renamed.target.before = renamed.target.after = to->row.change;
        if (target.node == node) co_return renamed;  // two names of one file: POSIX says do nothing
        CO_CHECK_OK(permitted(move, *ctx.caller));
        Command command{DeleteEntry{{from->number, std::string(name)}}};
        if (target.node) {
            if (is_dir && !target.node->directory->empty()) co_return fail(Errc::not_empty);
            if (is_dir && !target.node->directory->complete()) continue;
            command.push_back(DeleteEntry{{to->number, std::string(new_name)}});
            replace(volume_, move, command);
            renamed.replaced = vfs::FileId{target.node->number, target.node->generation};
        }
        change_parents(volume_, move);
        const EntryRow row = entry_row(*to, new_name, *node);
        command.push_back(PutEntry{row});
        const LogIndex index = from == to ? volume_.submit(std::move(command), {from.get(), node.get()})
                                          : volume_.submit(std::move(command), {from.get(), to.get(), node.get()});
        if (target.node) {
            target.node->pending = target.node->pending_any = index;
            to->directory->erase(new_name, index);
        }
        from->directory->erase(name, index);
        insert_entry(*to, row, index);
        observe(ctx, index);
        renamed.source.after = from->row.change;
        renamed.target.after = to->row.change;
        co_return renamed;
    }
}

}  // namespace strata::cluster
