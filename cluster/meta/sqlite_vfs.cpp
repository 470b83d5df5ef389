// SPDX-License-Identifier: Apache-2.0
// The methods that SQLite calls (sqlite.org/c3ref/vfs.html, io_methods.html), over strata::Disk and strata::File.
#include "cluster/meta/sqlite_vfs.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include <sqlite3.h>

#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

constexpr std::uint64_t wal_header_size = 32, wal_frame_header_size = 24;
constexpr std::uint64_t wal_frame_size = wal_frame_header_size + database_page_size;
constexpr int path_size_max = 512;

enum class Content : std::uint8_t { database, wal, other };

struct OpenFile {
    SqliteVfs* vfs = nullptr;
    std::string path;
    Content content = Content::other;
    bool delete_on_close = false;
    std::unique_ptr<File> file;
    std::shared_ptr<SqliteSharedFile> shared;
    int lock = SQLITE_LOCK_NONE;
    SqliteSharedFile::SlotLocks slots;
    bool index_attached = false;
};

// What SQLite allocates for a file.
struct Handle {
    sqlite3_file base;
    OpenFile* open;
};

OpenFile& of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file)->open; }
SqliteVfs& of(sqlite3_vfs* vfs) { return *static_cast<SqliteVfs*>(vfs->pAppData); }

std::string folder_of(std::string_view path) {
    const auto slash = path.rfind('/');
    return std::string(slash == std::string_view::npos ? std::string_view() : path.substr(0, slash));
}

bool is_page(int amount, sqlite3_int64 offset) { return amount == database_page_size && offset % database_page_size == 0; }

// The WAL frame whose page data begin at `offset`, if any does.
std::optional<std::size_t> frame_of(int amount, sqlite3_int64 offset) {
    const auto at = static_cast<std::uint64_t>(offset);
    if (amount != database_page_size || at < wal_header_size + wal_frame_header_size) return std::nullopt;
    const auto from_first = at - wal_header_size - wal_frame_header_size;
    if (from_first % wal_frame_size != 0) return std::nullopt;
    return from_first / wal_frame_size;
}

std::array<std::byte, database_page_reserve> page_trailer(std::span<const std::byte> content, sqlite3_int64 offset) {
    const auto page = static_cast<std::uint32_t>(offset / database_page_size + 1);
    const std::uint32_t crc = crc32c(content, page);
    std::array<std::byte, database_page_reserve> trailer;
    std::memcpy(trailer.data(), &crc, sizeof crc);
    std::memcpy(trailer.data() + sizeof crc, &page, sizeof page);
    return trailer;
}

bool page_is_sound(std::span<const std::byte> page, sqlite3_int64 offset) {
    const auto content = page.first(page.size() - database_page_reserve);
    const auto trailer = page_trailer(content, offset);
    if (std::ranges::equal(trailer, page.last(database_page_reserve))) return true;
    return std::ranges::all_of(page, [](std::byte b) { return b == std::byte{0}; });
}

int close_file(sqlite3_file* file) {
    auto* handle = reinterpret_cast<Handle*>(file);
    std::unique_ptr<OpenFile> open(std::exchange(handle->open, nullptr));
    if (open == nullptr) return SQLITE_OK;
    if (open->index_attached) open->shared->detach_index(open->slots);
    open->shared->unlock(open->lock, SQLITE_LOCK_NONE);
    open->file.reset();
    if (open->delete_on_close) (void)open->vfs->disk().remove(open->path);
    return SQLITE_OK;
}

int read_file_at(sqlite3_file* file, void* out, int amount, sqlite3_int64 offset) {
    auto& open = of(file);
    const std::span bytes(static_cast<std::byte*>(out), static_cast<std::size_t>(amount));
    const auto count = open.file->read_at(static_cast<std::uint64_t>(offset), bytes);
    if (!count) return count.error() == Errc::corrupt ? SQLITE_IOERR_DATA : SQLITE_IOERR_READ;
    if (*count < bytes.size()) {
        std::ranges::fill(bytes.subspan(*count), std::byte{0});
        return SQLITE_IOERR_SHORT_READ;
    }
    bool sound = true;
    if (open.content == Content::database && is_page(amount, offset)) sound = page_is_sound(bytes, offset);
    if (open.content == Content::wal) {
        if (const auto frame = frame_of(amount, offset)) {
            const auto crc = open.shared->frame_checksum(*frame);
            sound = !crc || *crc == crc32c(bytes);
        }
    }
    if (sound) return SQLITE_OK;
    open.vfs->count_damaged_page();
    return SQLITE_IOERR_DATA;
}

int write_file_at(sqlite3_file* file, const void* in, int amount, sqlite3_int64 offset) {
    auto& open = of(file);
    const std::span bytes(static_cast<const std::byte*>(in), static_cast<std::size_t>(amount));
    Result<> written;
    if (open.content == Content::database && is_page(amount, offset)) {
        const auto content = bytes.first(bytes.size() - database_page_reserve);
        const auto trailer = page_trailer(content, offset);
        const std::array<std::span<const std::byte>, 2> pieces{content, trailer};
        written = open.file->write_at(static_cast<std::uint64_t>(offset), pieces);
    } else {
        written = open.file->write_at(static_cast<std::uint64_t>(offset), bytes);
    }
    if (!written) return written.error() == Errc::no_space ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    if (open.content == Content::wal && static_cast<std::uint64_t>(offset) >= wal_header_size &&
        amount != static_cast<int>(wal_frame_header_size)) {
        const auto frame = frame_of(amount, offset);
        const auto touched = (static_cast<std::uint64_t>(offset) - wal_header_size) / wal_frame_size;
        open.shared->set_frame_checksum(touched, frame ? std::optional(crc32c(bytes)) : std::nullopt);
    }
    return SQLITE_OK;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
    auto& open = of(file);
    const auto bytes = static_cast<std::uint64_t>(size);
    if (open.content == Content::wal) {
        const auto whole = bytes < wal_header_size ? 0 : (bytes - wal_header_size) / wal_frame_size;
        open.shared->forget_frames_from(whole);
    }
    return open.file->truncate(bytes) ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int sync_file(sqlite3_file* file, int) { return of(file).file->sync() ? SQLITE_OK : SQLITE_IOERR_FSYNC; }

int file_size(sqlite3_file* file, sqlite3_int64* out) {
    const auto size = of(file).file->size();
    if (!size) return SQLITE_IOERR_FSTAT;
    *out = static_cast<sqlite3_int64>(*size);
    return SQLITE_OK;
}

int lock_file(sqlite3_file* file, int level) { return of(file).shared->lock(of(file).lock, level) ? SQLITE_OK : SQLITE_BUSY; }

int unlock_file(sqlite3_file* file, int level) {
    of(file).shared->unlock(of(file).lock, level);
    return SQLITE_OK;
}

int check_reserved_lock(sqlite3_file* file, int* out) {
    *out = of(file).shared->reserved() ? 1 : 0;
    return SQLITE_OK;
}

int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return database_page_size; }
int device_characteristics(sqlite3_file*) { return SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN; }

int map_index(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    auto& open = of(file);
    if (!open.index_attached) {
        open.shared->attach_index();
        open.index_attached = true;
    }
    *out = open.shared->region(static_cast<std::size_t>(region), static_cast<std::size_t>(size), extend != 0);
    return SQLITE_OK;
}

int lock_index(sqlite3_file* file, int first, int count, int flags) {
    auto& open = of(file);
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        open.shared->unlock_slots(open.slots, first, count, exclusive);
        return SQLITE_OK;
    }
    return open.shared->lock_slots(open.slots, first, count, exclusive) ? SQLITE_OK : SQLITE_BUSY;
}

void index_barrier(sqlite3_file*) { std::atomic_thread_fence(std::memory_order_seq_cst); }

int unmap_index(sqlite3_file* file, int) {
    auto& open = of(file);
    if (open.index_attached) open.shared->detach_index(open.slots);
    open.index_attached = false;
    return SQLITE_OK;
}

constexpr sqlite3_io_methods io_methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file_at,
    .xWrite = write_file_at,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = device_characteristics,
    .xShmMap = map_index,
    .xShmLock = lock_index,
    .xShmBarrier = index_barrier,
    .xShmUnmap = unmap_index,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    auto* handle = reinterpret_cast<Handle*>(file);
    handle->base.pMethods = nullptr;
    handle->open = nullptr;
    if (path == nullptr) return SQLITE_CANTOPEN;  // a temporary file: they live in memory
    auto& owner = of(vfs);
    auto open = std::make_unique<OpenFile>();
    open->vfs = &owner;
    open->path = path;
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0) open->content = Content::database;
    if ((flags & SQLITE_OPEN_WAL) != 0) open->content = Content::wal;
    open->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    auto mode = (flags & SQLITE_OPEN_READONLY) != 0 ? OpenMode::read : OpenMode::read_write;
    bool made = false;
    auto opened = owner.disk().open(open->path, mode);
    if (!opened && opened.error() == Errc::not_found && (flags & SQLITE_OPEN_CREATE) != 0) {
        opened = owner.disk().open(open->path, OpenMode::create);
        made = true;
    }
    if (opened && made) {
        if (auto synced = owner.disk().sync_folder(folder_of(open->path)); !synced) opened = fail(std::move(synced.error()));
    }
    if (!opened && opened.error() == Errc::too_many) return sqlite_out_of_descriptors;
    if (!opened) return opened.error() == Errc::no_space ? SQLITE_FULL : (made ? SQLITE_IOERR_DIR_FSYNC : SQLITE_CANTOPEN);
    open->file = std::move(*opened);
    open->shared = owner.shared_file(open->path);
    handle->open = open.release();
    handle->base.pMethods = &io_methods;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* path, int sync_folder) {
    auto& disk = of(vfs).disk();
    const auto removed = disk.remove(path);
    if (!removed) return removed.error() == Errc::not_found ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
    if (sync_folder != 0 && !disk.sync_folder(folder_of(path))) return SQLITE_IOERR_DIR_FSYNC;
    return SQLITE_OK;
}

int file_access(sqlite3_vfs* vfs, const char* path, int, int* out) {
    const auto exists = of(vfs).disk().exists(path);
    if (!exists) return SQLITE_IOERR_ACCESS;
    *out = *exists ? 1 : 0;
    return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    const std::string_view text(path);
    if (text.size() + 1 > static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
    std::memcpy(out, text.data(), text.size());
    out[text.size()] = '\0';
    return SQLITE_OK;
}

int random_bytes(sqlite3_vfs* vfs, int size, char* out) {
    of(vfs).random_source().fill(std::as_writable_bytes(std::span(out, static_cast<std::size_t>(size))));
    return size;
}

// Nothing in this process waits by sleeping, and no stored value depends on SQLite's time.
int sleep_no_time(sqlite3_vfs*, int) { return 0; }
int current_time(sqlite3_vfs*, double* out) {
    *out = 2440587.5;
    return SQLITE_OK;
}
int last_error(sqlite3_vfs*, int, char*) { return 0; }

std::atomic<std::uint64_t> names_given{0};

}  // namespace

SqliteVfs::SqliteVfs(std::shared_ptr<Disk> disk, Random& random)
    : disk_(std::move(disk)),
      random_(&random),
      name_("strata-" + std::to_string(names_given.fetch_add(1))),
      vfs_(std::make_unique<sqlite3_vfs>()) {
    *vfs_ = sqlite3_vfs{};
    vfs_->iVersion = 1;
    vfs_->szOsFile = sizeof(Handle);
    vfs_->mxPathname = path_size_max;
    vfs_->zName = name_.c_str();
    vfs_->pAppData = this;
    vfs_->xOpen = open_file;
    vfs_->xDelete = delete_file;
    vfs_->xAccess = file_access;
    vfs_->xFullPathname = full_path;
    vfs_->xRandomness = random_bytes;
    vfs_->xSleep = sleep_no_time;
    vfs_->xCurrentTime = current_time;
    vfs_->xGetLastError = last_error;
    (void)sqlite3_vfs_register(vfs_.get(), 0);
}

SqliteVfs::~SqliteVfs() { (void)sqlite3_vfs_unregister(vfs_.get()); }

std::shared_ptr<SqliteSharedFile> SqliteVfs::shared_file(const std::string& path) {
    std::lock_guard lock(mutex_);
    auto& slot = shared_files_[path];
    auto shared = slot.lock();
    if (shared == nullptr) {
        shared = std::make_shared<SqliteSharedFile>();
        slot = shared;
    }
    return shared;
}

}  // namespace strata::cluster
