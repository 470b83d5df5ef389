// SPDX-License-Identifier: Apache-2.0
// SETATTR: who may set what (POSIX; RFC 8881, 18.30 and 6.4.1), and all of it in one command.
#include "cluster/fs/cluster_file_system.h"
#include "server/vfs/acl.h"

namespace strata::cluster {

namespace {

constexpr std::uint32_t mode_setuid = 04000, mode_setgid = 02000, mode_group_execute = 010, mode_bits = 07777;

bool sets_time(const vfs::SetAttributes& set) {
    return set.access_time || set.modify_time || set.birth_time || set.access_time_now || set.modify_time_now;
}

Result<> check_times(const vfs::Attributes& now, const Credentials& who, const vfs::SetAttributes& set) {
    if (who.uid == now.uid || vfs::evaluate(now, who, vfs::access::write_attributes)) return {};
    const bool explicit_time = (set.access_time && !set.access_time_now) || (set.modify_time && !set.modify_time_now) || set.birth_time;
    if (explicit_time) return fail(Errc::permission);
    return vfs::evaluate(now, who, vfs::access::write_data) ? Result<>{} : fail(Errc::access);
}

Result<> check_owner(const vfs::Attributes& now, const Credentials& who, const vfs::SetAttributes& set) {
    if (who.is_superuser()) return {};
    if (set.uid && *set.uid != now.uid) return fail(Errc::permission);
    if (set.gid && *set.gid != now.gid && (who.uid != now.uid || !who.in_group(*set.gid))) return fail(Errc::permission);
    return who.uid == now.uid ? Result<>{} : fail(Errc::permission);
}

Result<> check(const vfs::Attributes& now, const Credentials& who, const vfs::SetAttributes& set, bool opened_for_write) {
    const bool owner = who.is_superuser() || who.uid == now.uid;
    if (set.uid || set.gid) CHECK_OK(check_owner(now, who, set));
    if (set.mode && !owner && !vfs::evaluate(now, who, vfs::access::write_acl)) return fail(Errc::permission);
    if (set.acl && !owner && !vfs::evaluate(now, who, vfs::access::write_acl)) return fail(Errc::permission);
    if (set.acl && *set.acl) CHECK_OK(vfs::validate(**set.acl, now.type == vfs::FileType::directory));
    if (set.dos_attributes && !owner && !vfs::evaluate(now, who, vfs::access::write_attributes)) return fail(Errc::permission);
    if (sets_time(set)) CHECK_OK(check_times(now, who, set));
    if (set.size) {
        if (now.type == vfs::FileType::directory) return fail(Errc::is_directory);
        if (now.type != vfs::FileType::regular) return fail(Errc::invalid_argument);
        if (*set.size > vfs::file_size_max) return fail(Errc::too_big);
        if (!opened_for_write && !vfs::evaluate(now, who, vfs::access::write_data)) return fail(Errc::access);
    }
    return {};
}

void set_mode_and_owner(Node& node, const Credentials& who, const vfs::SetAttributes& set) {
    InodeRow& row = node.row;
    if (set.uid || set.gid) {
        // As Linux does: a change of owner takes the set-id bits of a file away (setgid only where it means execution).
        if (node.type != vfs::FileType::directory) {
            row.mode &= ~mode_setuid;
            if (row.mode & mode_group_execute) row.mode &= ~mode_setgid;
        }
        row.uid = set.uid.value_or(row.uid);
        row.gid = set.gid.value_or(row.gid);
    }
    if (set.mode) {
        row.mode = *set.mode & mode_bits;
        if (node.type != vfs::FileType::directory && (row.mode & mode_setgid) && !who.is_superuser() && !who.in_group(row.gid)) {
            row.mode &= ~mode_setgid;
        }
        if (node.acl) node.acl = std::make_shared<const vfs::Acl>(vfs::with_mode(*node.acl, row.mode));
    }
    if (set.acl) {
        node.acl = *set.acl;
        if (node.acl) row.mode = vfs::mode_of(*node.acl, row.mode);
    }
    row.acl = node.acl ? vfs::encode(*node.acl) : std::string();
}

void set_times(InodeRow& row, const vfs::SetAttributes& set, Timestamp now) {
    if (set.access_time_now) {
        row.access_time = now;
    } else if (set.access_time) {
        row.access_time = *set.access_time;
    }
    if (set.modify_time_now) {
        row.modify_time = now;
    } else if (set.modify_time) {
        row.modify_time = *set.modify_time;
    }
    if (set.birth_time) row.birth_time = *set.birth_time;
}

}  // namespace

Task<Result<vfs::Attributes>> ClusterFileSystem::set_attributes(const Context& ctx, vfs::FileId file, const vfs::SetAttributes& set,
                                                                bool opened_for_write) {
    CO_TRY(node, co_await volume_.node(ctx, file));
    CO_CHECK_OK(co_await volume_.meta().admit(ctx));
    for (;;) {
        {
            std::lock_guard lock(node->mutex);
            CO_CHECK_OK(check(node->attributes(), *ctx.caller, set, opened_for_write));
        }
        if (set.size) CO_CHECK_OK(co_await volume_.data().prepare(ctx, node, *set.size));
        std::lock_guard lock(node->mutex);
        if (node->dead) co_return fail(Errc::stale);
        CO_CHECK_OK(check(node->attributes(), *ctx.caller, set, opened_for_write));
        const Timestamp now = volume_.now();
        Command command;
        if (set.size) {
            if (!volume_.data().set_size(*node, *set.size, command)) continue;
            node->row.modify_time = now;
            if (!ctx.caller->is_superuser()) node->row.mode &= ~(mode_setuid | ((node->row.mode & mode_group_execute) ? mode_setgid : 0));
        }
        set_mode_and_owner(*node, *ctx.caller, set);
        set_times(node->row, set, now);
        if (set.dos_attributes) node->row.dos_attributes = *set.dos_attributes;
        volume_.touch(*node);
        observe(ctx, volume_.submit(std::move(command), {node.get()}));
        co_return node->attributes();
    }
}

}  // namespace strata::cluster
