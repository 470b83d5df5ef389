// SPDX-License-Identifier: Apache-2.0
// Appliance: the one place that knows all parts: it builds and wires them, and starts and stops them in order.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include <boost/json/object.hpp>

#include "server/base/system_runtime.h"
#include "server/base/task_group.h"
#include "server/config.h"
#include "server/control_socket.h"
#include "server/quick_start.h"
#include "server/storage.h"
#include "server/vfs/file_state.h"

namespace strata::nfs {
class Server;
}

namespace strata {

// Order of opening: data folder, stores, metadata, file system, shares, NFS, control socket. Closing goes backwards.
class Appliance {
public:
    // `open_disk` is the way to every folder. `storage` has sizes and times of its parts in place of those that fit this machine;
    // folders and policy are `config`'s.
    Appliance(SystemRuntime& system, Config config, Log log, OpenDisk open_disk = &open_exclusive_disk,
              std::optional<StorageConfig> storage = std::nullopt);
    ~Appliance();  // after stop()

    // Serves when it returns. Errors: whatever a person has to mend, with where and what to do.
    Task<Result<>> start();
    // "ready: ..." and the mount commands, for standard output.
    const std::string& banner() const { return banner_; }
    // Stops accepting, finishes or refuses what runs, flushes, closes: within `limit`.
    Task<Result<>> stop(Duration limit);
    // What stop() is about, for people.
    const char* stopping() const { return stopping_.load(); }
    // Resumes when the metadata can no longer be trusted to become durable and the process has to start anew.
    Task<Error> failed();

private:
    StorageConfig fitting_storage() const;
    Task<Result<boost::json::object>> answer(const boost::json::object& request);
    Task<Result<>> open_nfs(const Context& ctx);
    Task<> reap_orphans_after_grace();
    Context internal() const;

    SystemRuntime& system_;
    Config config_;
    Log log_;
    OpenDisk open_disk_;
    std::optional<StorageConfig> storage_config_;
    Credentials superuser_ = Credentials::superuser();
    std::unique_ptr<BufferPool> buffers_;
    std::unique_ptr<Storage> storage_;
    vfs::ShareTable shares_;
    vfs::FileStateTable files_;
    std::unique_ptr<nfs::Server> nfs_;
    std::unique_ptr<ControlSocket> control_;
    std::string banner_;
    TaskGroup tasks_;
    std::atomic<const char*> stopping_{"nothing"};
};

}  // namespace strata
