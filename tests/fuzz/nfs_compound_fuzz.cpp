// SPDX-License-Identifier: Apache-2.0
// Any bytes as the arguments of a COMPOUND, over the file system in memory. The first byte's low bits say whether a session, an open
// file and its handle are put in front, so that the operations behind them are reached.
#include <cstring>
#include <memory>

#include "nfs/compound.h"
#include "nfs/service.h"
#include "nfs/state/session.h"
#include "server/vfs/file_state.h"
#include "tests/sim/memory_file_system.h"
#include "tests/sim/world.h"

namespace {

using namespace strata;
using namespace strata::nfs;

struct Rig {
    Rig() {
        vfs::CreateRequest request;
        request.type = vfs::FileType::directory;
        request.attributes.mode = 0777;
        const auto root = Credentials::superuser();
        Context ctx{.clock = &world.clock(), .caller = &root};
        vfs::Share share;
        share.name = "data";
        share.root = world.run(fs.create(ctx, fs.root(), "data", request))->entry.id;
        request.type = vfs::FileType::regular;
        file = world.run(fs.create(ctx, share.root, "file", request))->entry.id;
        shares.replace({share});
        service = std::make_unique<Service>(Config{}, world.runtime(), Parts{&fs, &shares, &files, &records, &pool});
        service->clients.begin(1, 1);
        ClientTable::Exchange exchange{.owner = "fuzz"};
        client = service->clients.exchange_id(exchange, world.clock().now()).client;
        service->clients.confirm(client);
        client->reclaim_complete = true;
        session = std::make_shared<Session>();
        session->client = client;
        session->fore = {.max_request_size = 1 << 20,
                         .max_response_size = 1 << 16,
                         .max_response_size_cached = 4096,
                         .max_operations = 64,
                         .max_requests = 4};
    }

    void run(std::uint8_t how, const std::uint8_t* data, std::size_t size) {
        Slice record = allocate_heap(size + 1);
        if (size != 0) std::memcpy(record.writable().data(), data, size);
        record = record.sub(0, size);
        Compound compound(*service, connection);
        compound.authenticated = (how & 1) != 0 ? Credentials::superuser() : Credentials{.uid = 1000, .gid = 1000, .groups = {}};
        compound.begin(1, 1);
        compound.request_bytes = size;
        XdrReader in(record);
        XdrWriter out(pool);
        if ((how & 2) != 0) {
            compound.set_current(*compound.shares->find("data"), file);
            compound.saved = compound.current;
        }
        (void)world.run(run_compound(compound, in, out));
    }

    sim::World world{1};
    sim::MemoryFileSystem fs{world.clock(), 16 << 20};
    sim::MemoryRecordStore records;
    vfs::ShareTable shares;
    vfs::FileStateTable files;
    BufferPool pool{64 << 20};
    vfs::FileId file;
    std::unique_ptr<Service> service;
    std::shared_ptr<Client> client;
    std::shared_ptr<Session> session;
    ConnectionState connection;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    Rig rig;
    // The session's id is all zeros: inputs reach it by a SEQUENCE of zeros.
    rig.service->sessions.add(rig.session);
    rig.session->client->sessions.push_back(rig.session);
    rig.run(data[0], data + 1, size - 1);
    rig.session.reset();
    rig.client.reset();
    return 0;
}
