// SPDX-License-Identifier: Apache-2.0
// ShareView: admission by client address, and the pseudo root directory.
#include "nfs/share_view.h"

#include <utility>

namespace strata::nfs {

ShareView::ShareView(std::uint64_t version, std::shared_ptr<const vfs::ShareList> shares, const Endpoint& client)
    : version_(version), all_(std::move(shares)), client_(client) {
    for (const auto& share : *all_) {
        if (share.admits(client_)) admitted_.push_back({&share, hash_of(share.name)});
    }
}

const vfs::Share* ShareView::find(std::string_view name) const {
    for (const auto& item : admitted_) {
        if (item.share->name == name) return item.share;
    }
    return nullptr;
}

const vfs::Share* ShareView::find(const HandleContent& handle) const {
    const vfs::Share* by_root = nullptr;
    int same_root = 0;
    for (const auto& item : admitted_) {
        if (item.share->root.inode != handle.share_root) continue;
        if (item.name_hash == handle.share_name_hash) return item.share;
        by_root = item.share;
        ++same_root;
    }
    return same_root == 1 ? by_root : nullptr;
}

vfs::Attributes ShareView::pseudo_root(Timestamp at) const {
    vfs::Attributes a;
    a.id = {pseudo_root_fileid, 0};
    a.type = vfs::FileType::directory;
    a.mode = 0555;
    a.link_count = static_cast<std::uint32_t>(2 + admitted_.size());
    a.size = 4096;
    a.allocated = 4096;
    // The table counts from the start of the process: later starts count on from later times.
    a.change = (static_cast<std::uint64_t>(at.seconds) << 20) + version_;
    a.access_time = a.modify_time = a.change_time = a.birth_time = at;
    return a;
}

vfs::DirectoryPage ShareView::read_pseudo_root(std::uint64_t cookie, const vfs::DirectoryVisitor& visit) const {
    // Cookies follow the position in the whole list, so that a share hidden from this client does not shift the others.
    constexpr std::uint64_t first_cookie = 3;
    vfs::DirectoryPage page;
    page.change = version_;
    for (const auto& item : admitted_) {
        const auto position = first_cookie + static_cast<std::uint64_t>(item.share - all_->data());
        if (position <= cookie) continue;
        vfs::DirectoryEntry entry;
        entry.cookie = position;
        entry.name = item.share->name;
        entry.id = item.share->root;
        if (!visit(entry)) return page;
    }
    page.end = true;
    return page;
}

std::uint64_t ShareView::mounted_on_fileid(const vfs::Share& share) {
    return (std::uint64_t{1} << 62) | (std::uint64_t{hash_of(share.name)} << 8);
}

}  // namespace strata::nfs
